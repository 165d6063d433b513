//! What is kept of images: by digest, checked, and within reach of no plugin.

use std::fs;

use crate::images::Images;
use crate::place::Place;
use crate::server::Server;

#[test]
fn by_its_digest_what_was_fetched_runs_without_the_network() {
    let place = Place::new();
    let mut images = Images::default();
    let digest = images.add_index("1", &[("wasm", "hello"), ("s390x", "other")]);
    let server = Server::start(images.unless(|_| None));
    let host = server.host.clone();
    place.run(&format!("run docker://{host}/team/app@{digest}")).assert_output("hello\n");
    // The index, the manifest and the layer; nobody reads the configuration of an artifact.
    assert_eq!((server.lines().len(), place.kept().len()), (3, 3));
    place.run(&format!("run docker://{host}/team/app@{digest}")).assert_output("hello\n");
    assert_eq!(server.lines().len(), 3);
    let tag = fs::read_to_string(place.path("cache/images/CACHEDIR.TAG")).expect("it is marked");
    assert!(tag.contains("This is the cache of images of aiohost."), "{tag}");
    drop(server);
    place.run(&format!("run docker://{host}/team/app@{digest}")).assert_output("hello\n");
    place.run(&format!("run docker://{host}/team/app:1")).assert_error(&format!(
        "error: {host} cannot be reached\n  cause: Connection refused (os error 111)\n  \
         help: a tag has to be asked for, but what was fetched before runs without the network by its digest: \
         docker://{host}/team/app@sha256:DIGEST, which -v tells\n"
    ));
}

#[test]
fn without_a_cache_nothing_is_kept() {
    let place = Place::new();
    let mut images = Images::default();
    let digest = images.add("1", "hello");
    let server = Server::start(images.unless(|_| None));
    for reference in ["app:1".to_owned(), format!("app@{digest}")] {
        place.run(&format!("run --no-cache docker://{}/team/{reference}", server.host)).assert_output("hello\n");
        assert!(!place.path("cache").exists());
    }
    // For the tag its manifest is asked for once.
    assert_eq!(server.lines().len(), 4);
}

#[test]
fn what_is_damaged_is_fetched_again() {
    let place = Place::new();
    let mut images = Images::default();
    let digest = images.add("1", "hello");
    let server = Server::start(images.unless(|_| None));
    let line = format!("run docker://{}/team/app@{digest}", server.host);
    place.run(&line).assert_output("hello\n");
    for blob in place.kept() {
        let mut content = fs::read(&blob).expect("a blob");
        content[0] ^= 1;
        fs::write(&blob, content).expect("a file of our own");
        let asked = server.lines().len();
        let outcome = place.run(&line);
        assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(0), "hello\n"), "{outcome:?}");
        assert!(outcome.stderr.contains("a blob of the cache of images is not used; fetching it again"), "{outcome:?}");
        assert_eq!(server.lines().len(), asked + 1);
        place.run(&line).assert_output("hello\n");
    }
}

#[test]
fn a_directory_of_somebody_elses_is_no_cache() {
    let place = Place::new();
    place.write("cache/images/thesis.tex", "");
    let server = Server::start(Images::hello().unless(|_| None));
    let outcome = place.run(&format!("run docker://{}/team/app:1", server.host));
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(0), "hello\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("the cache of images is not used"), "{outcome:?}");
    assert_eq!(place.kept(), [place.path("cache/images/thesis.tex")]);
}

#[test]
fn a_grant_that_reaches_it_is_refused() {
    let place = Place::new();
    let server = Server::start(Images::hello().unless(|_| None));
    let line = |grant: &str| format!("run {grant} docker://{}/team/app:1", server.host);
    place.run(&line("")).assert_output("hello\n");
    fs::create_dir(place.path("cache/images/inside")).expect("a directory of our own");
    for dir in ["cache/images", "cache/images/inside"] {
        for option in ["", "--no-cache"] {
            let outcome = place.run(&line(&format!("{option} --dir {dir}::/d")));
            outcome.assert_fails_with(&["it reaches the cache of images", "--allow cache-grant"]);
        }
        place.run(&line(&format!("--ro-dir {dir}::/d"))).assert_output("hello\n");
        place.run(&line(&format!("--allow cache-grant --dir {dir}::/d"))).assert_output("hello\n");
    }
}
