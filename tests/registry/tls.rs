//! Registries on other machines, which are asked by TLS and not otherwise. A proxy stands for the network.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::images::Images;
use crate::place::{Outcome, Place, finished};
use crate::server::{Reply, Server, tls_file};

const LINE: &str = "run docker://registry.example/team/app:1";

/// Runs the image with a proxy, and trusts those who made the certificate.
fn run(place: &Place, proxy: &Server) -> Outcome {
    let proxy = format!("http://{}", proxy.host);
    finished(place.command(LINE).env("HTTPS_PROXY", proxy).env("SSL_CERT_FILE", tls_file("ca.pem")))
}

#[test]
fn a_registry_with_a_good_certificate_is_asked() {
    let place = Place::new();
    let server = Server::start_with_tls(Images::hello().unless(|_| None));
    run(&place, &server).assert_output("hello\n");
}

#[test]
fn one_that_nobody_knows_is_not() {
    let place = Place::new();
    let server = Server::start_with_tls(Images::hello().unless(|_| None));
    let proxy = format!("http://{}", server.host);
    let outcome = finished(place.command(LINE).env("HTTPS_PROXY", &proxy));
    outcome.assert_fails_with(&[
        "error: there is no safe connection to registry.example\n  cause: invalid peer certificate: UnknownIssuer\n",
        "SSL_CERT_FILE",
    ]);
    // Nor one for another host.
    let mut command = place.command("run docker://other.example/team/app:1");
    let outcome = finished(command.env("HTTPS_PROXY", &proxy).env("SSL_CERT_FILE", tls_file("ca.pem")));
    outcome.assert_fails_with(&["error: "]);
    assert!(server.lines().is_empty());
}

#[test]
fn nor_one_that_knows_no_tls() {
    let place = Place::new();
    let server = Server::start(|_| Reply::new(200, "this is no TLS at all"));
    run(&place, &server).assert_fails_with(&["error: there is no safe connection to registry.example\n"]);
    assert_eq!(server.lines(), ["CONNECT registry.example:443"]);
}

#[test]
fn nobody_is_led_away_from_tls() {
    let place = Place::new();
    let auths = json!({ "auths": { "registry.example": { "auth": STANDARD.encode("anna:secret") } } });
    place.write("home/.docker/config.json", auths.to_string());
    let thief = Server::start(|_| Reply::new(200, r#"{"token":"abc"}"#));
    let location = format!("http://{}/", thief.host);
    let leads = location.clone();
    let server = Server::start_with_tls(move |_| Reply::new(307, "").with("Location", &leads));
    run(&place, &server).assert_fails_with(&[&format!("it leads to \"{location}\", which is not asked")]);
    let challenge = format!("Bearer realm=\"{location}\"");
    let server = Server::start_with_tls(move |_| Reply::new(401, "").with("WWW-Authenticate", &challenge));
    run(&place, &server).assert_fails_with(&[&format!("it gives tokens at \"{location}\", which is not asked")]);
    assert!(thief.lines().is_empty());
}

#[test]
fn this_machine_is_asked_for_by_no_proxy() {
    let place = Place::new();
    let server = Server::start(Images::hello().unless(|_| None));
    let proxy = Server::start(|_| Reply::new(502, ""));
    let mut command = place.command(&format!("run docker://{}/team/app:1", server.host));
    for variable in ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"] {
        command.env(variable, format!("http://{}", proxy.host));
    }
    finished(&mut command).assert_output("hello\n");
    assert!(proxy.lines().is_empty());
}
