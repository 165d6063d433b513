//! What a reference leads to: tags, digests and platforms; and what is no reference.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::images::{Images, digest, plugin};
use crate::place::Place;
use crate::server::{Request, Server};

#[test]
fn a_plugin_runs_out_of_a_registry() {
    let place = Place::new();
    let mut images = Images::hello();
    images.add("latest", "latest");
    let server = Server::start(images.unless(|_| None));
    let app = format!("docker://{}/team/app", server.host);
    place.run(&format!("run {app}:1")).assert_output("hello\n");
    place.run(&format!("{app}:1")).assert_output("hello\n");
    place.run(&format!("run {app}")).assert_output("latest\n");
    place.run(&format!("run oci://{}/team/app:1", server.host)).assert_output("hello\n");
    let localhost = server.host.replace("127.0.0.1", "localhost");
    place.run(&format!("run docker://{localhost}/team/app:1")).assert_output("hello\n");
}

#[test]
fn it_is_inspected_and_compiled_as_it_is_run() {
    let place = Place::new();
    let server = Server::start(Images::hello().unless(|_| None));
    let app = format!("docker://{}/team/app:1", server.host);
    place.write("hello.wasm", plugin("hello"));
    place.run(&format!("inspect {app}")).assert_output(&place.run("inspect hello.wasm").stdout);
    place.run(&format!("compile {app} -o hello.cwasm")).assert_output("");
    place.run("run hello.cwasm").assert_output("hello\n");
}

#[test]
fn a_tag_is_asked_for_each_time_and_what_it_stands_for_is_told() {
    let place = Place::new();
    let mut images = Images::default();
    let digests = [images.add("1", "old"), images.add("2", "new")];
    let (own, asked) = (images.clone(), AtomicUsize::new(0));
    let server = Server::start(images.unless(move |request| {
        let is_for_tag = request.line.ends_with("manifests/1");
        let is_moved = is_for_tag && asked.fetch_add(1, Ordering::Relaxed) > 0;
        is_moved.then(|| own.reply(&Request { line: "GET /v2/team/app/manifests/2".to_owned(), ..request.clone() }))
    }));
    for (says, digest) in ["old\n", "new\n"].into_iter().zip(digests) {
        let outcome = place.run(&format!("run -v docker://{}/team/app:1", server.host));
        assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(0), says), "{outcome:?}");
        let told = format!("{0}/team/app:1 is {0}/team/app@{digest}\n", server.host);
        assert!(outcome.stderr.contains(&told), "{outcome:?}");
    }
}

#[test]
fn of_an_index_the_manifest_for_webassembly_is_taken() {
    let place = Place::new();
    let mut images = Images::default();
    let digest = images.add_index("1", &[("s390x", "wrong"), ("wasm", "right"), ("amd64", "wrong")]);
    images.add_index("none", &[("s390x", "wrong"), ("mips", "wrong")]);
    let server = Server::start(images.unless(|_| None));
    let app = format!("docker://{}/team/app", server.host);
    for reference in [format!("{app}:1"), format!("{app}@{digest}"), format!("{app}:1@{digest}")] {
        place.run(&format!("run {reference}")).assert_output("right\n");
    }
    place.run(&format!("run {app}:none")).assert_fails_with(&["error: this image is for s390x, mips, and neither for wasm"]);
}

#[test]
fn what_is_no_reference_is_a_mistake_of_usage() {
    let place = Place::new();
    for (wrong, why) in [
        ("docker://hello", "its first part is no host, as ghcr.io or localhost:5000"),
        ("docker://library/hello", "its first part is no host"),
        ("oci://ghcr.io/Team/app", "\"Team/app\" is no name of a repository"),
        ("docker://ghcr.io/team/app:a/b", "\"a/b\" is no tag"),
        ("docker://ghcr.io/team/app@sha256:0", "is not 64 digits of hexadecimal"),
    ] {
        for command in ["run", "inspect", "compile -o out.cwasm"] {
            let outcome = place.run(&format!("{command} {wrong}"));
            assert!(outcome.status == Some(2) && outcome.stderr.contains(why), "{outcome:?}");
        }
    }
}

#[test]
fn what_the_registry_does_not_have_is_told() {
    let place = Place::new();
    let server = Server::start(Images::hello().unless(|_| None));
    let host = &server.host;
    place.run(&format!("run docker://{host}/team/app:2")).assert_error(&format!(
        "error: {host} has no {host}/team/app:2\n  \
         cause: it answered with status 404 for http://{host}/v2/team/app/manifests/2\n  \
         help: `skopeo list-tags docker://{host}/team/app` tells what there is\n"
    ));
    let other = digest(b"other");
    place
        .run(&format!("run docker://{host}/team/app@{other}"))
        .assert_fails_with(&[&format!("error: {host} has no {host}/team/app@{other}\n")]);
}
