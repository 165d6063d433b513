//! Who the registry is told that the user is, and who is not told.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::images::Images;
use crate::place::{Place, finished};
use crate::server::{Reply, Request, Server};

const USER: &str = "anna:secret";

fn basic() -> String {
    format!("Basic {}", STANDARD.encode(USER))
}

/// A file with the user's credentials for a host.
fn auths(host: &str) -> String {
    json!({ "auths": { host: { "auth": STANDARD.encode(USER) } } }).to_string()
}

/// A registry that wants a token, and gives it to whoever this lets in.
fn with_tokens(lets_in: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Server {
    let realm = Server::start(move |request| match lets_in(request) {
        true => Reply::new(200, r#"{"token":"abc"}"#),
        false => Reply::new(401, ""),
    });
    let host = realm.host.clone();
    let challenge = format!(r#"Bearer realm="http://{host}/token?a=b",service="here",scope="repository:team/app:pull""#);
    Server::start(Images::hello().unless(move |request| {
        // It ends with the registry.
        let _ = &realm;
        let is_in = request.authorization.as_deref() == Some("Bearer abc");
        (!is_in).then(|| Reply::new(401, "").with("WWW-Authenticate", &challenge))
    }))
}

#[test]
fn a_token_is_fetched_by_whoever_has_no_credentials() {
    let place = Place::new();
    let server = with_tokens(|request| {
        request.line == "GET /token?a=b&scope=repository%3Ateam%2Fapp%3Apull&service=here" && request.authorization.is_none()
    });
    place.run(&format!("run docker://{}/team/app:1", server.host)).assert_output("hello\n");
    // The first time it is not known that one is wanted, and then it serves for all.
    let with: Vec<bool> = server.asked().iter().map(|request| request.authorization.is_some()).collect();
    assert_eq!(with, [false, true, true]);
}

#[test]
fn credentials_are_told_to_those_who_give_tokens_and_not_to_the_registry() {
    let place = Place::new();
    let server = with_tokens(|request| request.authorization.as_deref() == Some(&basic()));
    place.write("home/.docker/config.json", auths(&server.host));
    place.run(&format!("run docker://{}/team/app:1", server.host)).assert_output("hello\n");
    assert!(server.asked().iter().all(|request| request.authorization.as_deref() != Some(&basic())));
}

#[test]
fn a_token_may_be_asked_for_with_another_one() {
    let place = Place::new();
    let server = with_tokens(|request| {
        request.line == "POST /token?a=b"
            && request.authorization.is_none()
            && request.body.contains("grant_type=refresh_token")
            && request.body.contains("refresh_token=long%26old")
    });
    let auths = json!({ "auths": { &server.host: { "identitytoken": "long&old" } } });
    place.write("home/.docker/config.json", auths.to_string());
    place.run(&format!("run docker://{}/team/app:1", server.host)).assert_output("hello\n");
}

fn with_password() -> Server {
    Server::start(Images::hello().unless(|request| {
        let is_in = request.authorization.as_deref() == Some(&basic());
        (!is_in).then(|| Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"here\""))
    }))
}

#[test]
fn a_name_and_a_password_are_found_where_podman_and_docker_leave_them() {
    let server = with_password();
    let line = format!("run docker://{}/team/app:1", server.host);
    for (file, variable, value) in [
        ("auth.json", "REGISTRY_AUTH_FILE", "auth.json"),
        ("run/containers/auth.json", "XDG_RUNTIME_DIR", "run"),
        ("docker/config.json", "DOCKER_CONFIG", "docker"),
        ("home/.docker/config.json", "NOTHING", ""),
    ] {
        let place = Place::new();
        place.write(file, auths(&server.host));
        finished(place.command(&line).env(variable, place.path(value))).assert_output("hello\n");
    }
}

#[test]
fn a_program_of_dockers_is_asked_for_them() {
    let server = with_password();
    let line = format!("run docker://{}/team/app:1", server.host);
    let place = Place::new();
    let path = format!("{}:{}", place.path("bin").display(), std::env::var("PATH").unwrap_or_default());
    let script = |words: &str| {
        place.write("bin/docker-credential-test", format!("#!/bin/sh\n{words}\n"));
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(place.path("bin/docker-credential-test"), mode).expect("a file of our own");
    };
    let answers =
        format!(r#"read key; [ "$1 $key" = "get {}" ] && echo '{{"Username":"anna","Secret":"secret"}}'"#, server.host);
    for config in [json!({ "credsStore": "test" }), json!({ "credHelpers": { &server.host: "test" }, "credsStore": "none" })] {
        place.write("home/.docker/config.json", config.to_string());
        script(&answers);
        finished(place.command(&line).env("PATH", &path)).assert_output("hello\n");
        // One that has none says so, and ends with an error.
        script("echo credentials not found; exit 1");
        finished(place.command(&line).env("PATH", &path))
            .assert_fails_with(&["it answered with status 401, without credentials"]);
        script("exec cat /dev/zero");
        let outcome = finished(place.command(&line).env("PATH", &path));
        outcome.assert_fails_with(&["docker-credential-test does not answer", "it printed more than 64 KiB"]);
    }
}

#[test]
fn who_is_not_let_in_is_told_where_credentials_were_looked_for() {
    let place = Place::new();
    for server in [with_password(), with_tokens(|_| false)] {
        let host = &server.host;
        let line = format!("run docker://{host}/team/app:1");
        let config = place.path("home/.docker/config.json");
        let _ = fs::remove_file(&config);
        let help = format!(
            "  help: see whether there is such an image, and log in with `podman login {host}` or `docker login {host}`\n"
        );
        place.run(&line).assert_error(&format!(
            "error: {host} does not give {host}/team/app:1 away\n  cause: it answered with status 401, without credentials, of \
             which there are none in {}\n{help}",
            config.display()
        ));
    }
    let server = Server::start(|_| Reply::new(403, "").with("WWW-Authenticate", "Basic realm=\"here\""));
    place.run(&format!("run docker://{}/team/app:1", server.host)).assert_fails_with(&["it answered with status 403"]);
    // With credentials that are wrong.
    let server = Server::start(|_| Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"here\""));
    place.write("home/.docker/config.json", auths(&server.host));
    let told = format!("with the credentials in {}\n", place.path("home/.docker/config.json").display());
    let outcome = place.run(&format!("run docker://{}/team/app:1", server.host));
    outcome.assert_fails_with(&[&told]);
    assert!(!format!("{outcome:?}").contains(&STANDARD.encode(USER)), "{outcome:?}");
    // And no more than once.
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn another_server_is_told_nothing_of_the_user() {
    let place = Place::new();
    let images = Images::hello();
    let own = images.clone();
    let storage = Server::start(images.unless(|_| None));
    // The same machine by another name is another server.
    let other = storage.host.replace("127.0.0.1", "localhost");
    let server = Server::start(own.unless(move |request| match request.authorization.as_deref() {
        Some(header) if header == basic() => {
            let path = request.line.strip_prefix("GET ").unwrap_or_default();
            path.contains("/blobs/").then(|| Reply::new(307, "").with("Location", &format!("http://{other}{path}")))
        }
        _ => Some(Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"here\"")),
    }));
    place.write("home/.docker/config.json", auths(&server.host));
    place.run(&format!("run docker://{}/team/app:1", server.host)).assert_output("hello\n");
    let asked = storage.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked.iter().all(|request| request.authorization.is_none()), "{asked:?}");
}

#[test]
fn another_server_cannot_ask_who_the_user_is() {
    let place = Place::new();
    let thief = Server::start(|_| Reply::new(401, "").with("WWW-Authenticate", "Basic realm=\"here\""));
    let other = thief.host.clone();
    let server = Server::start(Images::hello().unless(move |request| {
        request.line.contains("/blobs/").then(|| Reply::new(302, "").with("Location", &format!("http://{other}/")))
    }));
    let both =
        json!({ "auths": { &server.host: { "auth": STANDARD.encode(USER) }, &thief.host: { "auth": STANDARD.encode(USER) } } });
    place.write("home/.docker/config.json", both.to_string());
    place.run(&format!("run docker://{}/team/app:1", server.host)).assert_fails_with(&["it answered with status 401"]);
    let asked = thief.asked();
    assert!(asked.len() == 1 && asked[0].authorization.is_none(), "{asked:?}");
}

#[test]
fn a_token_is_not_fetched_over_a_network_that_is_not_safe() {
    let place = Place::new();
    let challenge = "Bearer realm=\"http://tokens.example/\",service=\"here\"";
    let server = Server::start(move |_| Reply::new(401, "").with("WWW-Authenticate", challenge));
    place.write("home/.docker/config.json", auths(&server.host));
    place.run(&format!("run docker://{}/team/app:1", server.host)).assert_error(&format!(
        "error: {} does not answer as a registry does\n  \
         cause: it gives tokens at \"http://tokens.example/\", which is not asked, since it is no https\n  \
         help: see whether that is a registry; `skopeo copy` to an oci-layout may know it better\n",
        server.host
    ));
}
