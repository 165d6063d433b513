//! `requests-async.wasm`: a WASI 0.3 command, which has every face, and streams.

#[macro_use]
mod face;

mod attempt;
mod check;
mod flight;
mod plans;
mod program;
mod race;
mod requests_face;
mod streams;
mod tests;
mod words;

mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "guest" });
}

struct Command;

wasip3::cli::command::export!(Command);

impl wasip3::exports::cli::run::Guest for Command {
    async fn run() -> Result<(), ()> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        match arguments.first().map(String::as_str) {
            Some("behind") => streams::wait_behind(&arguments[1]).await,
            Some("greedy") => streams::take_all(&arguments[1]).await,
            Some("blocking") => program::run::<face::Blocking>(&arguments[1..]).await,
            Some("in-flight") => program::run::<flight::InFlight>(&arguments[1..]).await,
            Some("submit") => program::run::<face::Submit>(&arguments[1..]).await,
            Some("requests") => program::run::<requests_face::Requests>(&arguments[1..]).await,
            other => panic!("this guest has the faces blocking, in-flight, requests and submit, not {other:?}"),
        }
        Ok(())
    }
}
