//! What guests of WASI do, whichever version they are of: their arguments say it.

use crate::{attempt, held, race};

/// Runs what is named, if it is of those that every version has.
pub async fn run(arguments: &[String]) -> bool {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["attempt", ..] => attempt::run(&arguments[1..]).await,
        ["race", rounds] => race::run(rounds.parse().expect("a number")).await,
        ["open", count] => held::open(count.parse().expect("a number")).await,
        ["requests"] => held::requests().await,
        ["objects"] => held::objects().await,
        ["writes-nothing"] => held::writes_nothing().await,
        ["prints"] => held::prints(),
        ["reads", path] => held::reads(path).await,
        ["uses", how, path] => held::uses(how, path).await,
        ["never-ends", how] => held::never_ends(how).await,
        ["sees"] => held::sees().await,
        ["modest"] => held::modest().await,
        ["library", ref paths @ .., made] => held::by_library(paths, made),
        _ => return false,
    }
    true
}
