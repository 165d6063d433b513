//! Registries that fail, lie, or want to keep the program busy.

use std::fs;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use serde_json::json;

use crate::image::{CONFIG, TAR};
use crate::images::{Images, MANIFEST, digest, plugin};
use crate::place::Place;
use crate::server::{Reply, Request, Server};

/// What a registry with the plugin does with requests for the layer.
fn with_layer(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
    let layer = digest(&plugin("hello"));
    Server::start(Images::hello().unless(move |request| request.line.ends_with(&layer).then(&reply)))
}

fn line(server: &Server) -> String {
    format!("run docker://{}/team/app:1", server.host)
}

/// Answers the first requests that are counted in another way.
fn at_first(count: usize, reply: impl Fn() -> Reply + Send + Sync) -> impl Fn(&Request) -> Option<Reply> + Send + Sync {
    let left = Mutex::new(count);
    move |_| {
        let mut left = left.lock().expect("nobody panicked");
        *left = left.checked_sub(1)?;
        Some(reply())
    }
}

/// Nothing of it is run, and nothing of it is kept.
#[track_caller]
fn assert_refused(place: &Place, line: &str, cause: &str) {
    let layer = digest(&plugin("hello"));
    for option in ["--no-cache ", ""] {
        let outcome = place.run(&line.replacen("run ", &format!("run {option}"), 1));
        outcome.assert_fails_with(&[&layer, cause]);
    }
    let kept = place.kept();
    assert!(kept.iter().all(|path| !path.display().to_string().contains(&layer[7..])), "{kept:?}");
}

#[test]
fn what_is_not_what_its_digest_says_is_not_run() {
    let place = Place::new();
    let evil = plugin("evil!");
    assert_eq!(evil.len(), plugin("hello").len());
    let cause = format!("is damaged, or is not what it says\n  cause: its digest is {}\n", digest(&evil));
    let server = with_layer(move || Reply::new(200, evil.clone()));
    assert_refused(&place, &line(&server), &cause);
    // Nor is another manifest taken for the one that was meant.
    let place = Place::new();
    let mut images = Images::default();
    let (good, other) = (images.add("1", "hello"), images.manifest("evil!").to_string());
    let own_good = good.clone();
    let found = digest(other.as_bytes());
    let server = Server::start(
        images.unless(move |request| request.line.ends_with(&own_good).then(|| Reply::new(200, other.clone().into_bytes()))),
    );
    let outcome = place.run(&format!("run docker://{}/team/app@{good}", server.host));
    outcome.assert_fails_with(&[&format!("the blob {good} is damaged"), &format!("its digest is {found}")]);
    let kept = place.kept();
    assert!(kept.iter().all(|path| !path.display().to_string().contains(&good[7..])), "{kept:?}");
}

#[test]
fn what_is_cut_or_endless_is_not_run() {
    let place = Place::new();
    let whole = plugin("hello").len();
    let cut = with_layer(|| Reply::new(200, plugin("hello")).cut(10));
    assert_refused(&place, &line(&cut), "Peer disconnected");
    let shorter = with_layer(|| Reply::new(200, plugin("hello")[..10].to_vec()));
    assert_refused(&place, &line(&shorter), &format!("it has ended after 10 of {whole} bytes"));
    let endless = with_layer(|| Reply::endless(0));
    assert_refused(&place, &line(&endless), &format!("it has more than {whole} bytes"));
    // A manifest without end is none.
    let endless = Server::start(|_| Reply::endless(b' '));
    place.run(&line(&endless)).assert_fails_with(&["its manifest 1 has more than 4 MiB"]);
}

#[test]
fn what_an_image_says_of_its_size_costs_nothing() {
    let place = Place::new();
    let mut images = Images::default();
    for (tag, size) in [("large", json!(9_u64 << 30)), ("none", json!(null)), ("wrong", json!(-1))] {
        let mut manifest = images.manifest("hello");
        manifest["layers"][0]["size"] = size;
        images.tag(tag, &manifest);
    }
    // Of a plain image the configuration comes first, and then every layer.
    let layers = json!([{ "mediaType": TAR, "digest": digest(b"layer"), "size": u64::MAX }]);
    let config = images.blob(CONFIG, b"{}");
    images.tag("files", &json!({ "config": config, "layers": layers }));
    let config = json!({ "mediaType": CONFIG, "digest": digest(b"config"), "size": 5 << 20 });
    images.tag("config", &json!({ "config": config, "layers": layers }));
    let server = Server::start(images.unless(|_| None));
    let run = |tag: &str| place.run(&format!("run docker://{}/team/app:{tag}", server.host));
    run("large").assert_fails_with(&["the plugin in this image has 9216 MiB, and may have 256"]);
    run("files").assert_fails_with(&["app:files is larger than the image of a plugin may be"]);
    run("config").assert_fails_with(&["it has 5242880 bytes, and 4194304 is the limit"]);
    run("none").assert_fails_with(&["the image does not say how large its blob"]);
    run("wrong").assert_fails_with(&["is no number"]);
    let fetched: Vec<String> = server.lines().into_iter().filter(|line| !line.contains("/manifests/")).collect();
    assert_eq!(fetched, [format!("GET /v2/team/app/blobs/{}", digest(b"{}"))]);
}

#[test]
fn a_registry_that_takes_its_time_is_not_waited_for() {
    let place = Place::new();
    // It answers once the test is over.
    let (sender, over) = channel::<()>();
    let over = Mutex::new(over);
    let layer = digest(&plugin("hello"));
    let server = Server::start(Images::hello().unless(move |request| {
        if request.line.ends_with(&layer) {
            let _ = over.lock().expect("nobody panicked").recv();
        }
        None
    }));
    let slow = line(&server).replacen("run ", "run --max-compile-time 300ms ", 1);
    place.run(&slow).assert_error(
        "error: app:1 takes longer to read than it may\n  cause: it was not read after 300ms\n  \
         help: give it more time with --max-compile-time, as in --max-compile-time 10m, if you trust who made it\n",
    );
    drop(sender);
    // What was half written is not taken for the whole.
    place.run(&line(&server)).assert_output("hello\n");
}

#[test]
fn what_is_lost_or_put_off_is_asked_for_once_more() {
    let place = Place::new();
    let replies: [fn() -> Reply; 4] = [
        Reply::gone,
        || Reply::new(429, ""),
        || Reply::new(503, "").with("Retry-After", "1"),
        || Reply::new(429, "").with("Retry-After", "0"),
    ];
    for reply in replies {
        let server = Server::start(Images::hello().unless(at_first(1, reply)));
        place.run(&line(&server)).assert_output("hello\n");
    }
    let layer = Mutex::new(1);
    let server = with_layer(move || {
        let mut left = layer.lock().expect("nobody panicked");
        let reply = Reply::new(200, plugin("hello"));
        if std::mem::take(&mut *left) > 0 { reply.cut(10) } else { reply }
    });
    fs::remove_dir_all(place.path("cache/images")).expect("a directory of our own");
    place.run(&line(&server)).assert_output("hello\n");
}

#[test]
fn but_not_again_and_again() {
    let place = Place::new();
    let gone = Server::start(|_| Reply::gone());
    place.run(&line(&gone)).assert_fails_with(&[&format!("error: {} cannot be reached\n", gone.host)]);
    assert_eq!(gone.lines().len(), 2);
    let busy = Server::start(|_| Reply::new(429, "").with("Retry-After", "0"));
    place.run(&line(&busy)).assert_fails_with(&["does not answer for now\n  cause: it answered with status 429\n"]);
    assert_eq!(busy.lines().len(), 2);
    // An hour is not waited for.
    let long = Server::start(|_| Reply::new(503, "").with("Retry-After", "3600"));
    place.run(&line(&long)).assert_fails_with(&["it answered with status 503"]);
    assert_eq!(long.lines().len(), 1);
}

#[test]
fn what_no_registry_does_is_told() {
    let place = Place::new();
    let long = "x".repeat(100_000);
    let loops: fn(&str) -> Reply = |path| Reply::new(302, "").with("Location", path);
    let round = Server::start(move |_| loops("/round"));
    place.run(&line(&round)).assert_fails_with(&["it leads on more than 5 times"]);
    assert_eq!(round.lines().len(), 6);
    let away = Server::start(move |_| loops("http://registry.example/"));
    place.run(&line(&away)).assert_fails_with(&["it leads to \"http://registry.example/\", which is not asked"]);
    let header = Server::start(move |_| Reply::new(200, "{}").with("X-Long", &long));
    place.run(&line(&header)).assert_fails_with(&["does not answer as a registry does\n  cause: what "]);
    let teapot = Server::start(|_| Reply::new(418, ""));
    place.run(&line(&teapot)).assert_fails_with(&["does not answer as a registry does\n  cause: it answered with status 418"]);
    for body in ["", "no JSON", "[]", "{\"layers\":[{}]}", "{\"layers\":[{\"digest\":\"sha256:../../../etc/passwd\"}]}"] {
        let server = Server::start(move |_| Reply::new(200, body));
        place.run(&line(&server)).assert_fails_with(&["error: "]);
    }
}

#[test]
fn an_index_of_indexes_has_an_end() {
    let place = Place::new();
    let mut images = Images::default();
    let mut document = images.manifest("hello");
    for depth in 0..4 {
        let kind = if depth == 0 { MANIFEST } else { "application/vnd.oci.image.index.v1+json" };
        let descriptor = images.blob(kind, document.to_string().as_bytes());
        document = json!({ "manifests": [descriptor] });
    }
    images.tag("1", &document);
    let server = Server::start(images.unless(|_| None));
    place.run(&line(&server)).assert_fails_with(&["an index of this image lists another one, and so on"]);
}
