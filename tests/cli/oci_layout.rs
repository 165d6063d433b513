//! `aiohost run oci-layout:DIR`: plugins as registries hold them.

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::ends::end;
use crate::fuse::{Answer, Fuse, Op};
use crate::image::{CONFIG, Entry, Layout, TAR, config, tar};
use crate::{Outcome, Place, code, guests};

const WASM: &str = "application/wasm";
const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";

fn binary(text: String) -> Vec<u8> {
    wat::parse_str(text).expect("a valid guest")
}

/// An artifact of a component, as the CNCF has it: here a core module, which is a plugin, too.
fn artifact(layout: &mut Layout, tag: &str, plugin: Vec<u8>) -> String {
    let config = json!({ "architecture": "wasm", "os": "wasip1", "layerDigests": [] });
    layout.add(tag, (WASM_CONFIG, &config), &[(WASM, plugin)], &json!({}))
}

fn plain(layout: &mut Layout, tag: &str, command: &[&str], kind: &str, layers: Vec<Vec<u8>>) {
    let config: Value = config(command, &layers[0]);
    let layers: Vec<(&str, Vec<u8>)> = layers.into_iter().map(|layer| (kind, layer)).collect();
    layout.add(tag, (CONFIG, &config), &layers, &json!({}));
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("it goes into memory");
    encoder.finish().expect("it goes into memory")
}

#[test]
fn an_artifact_runs_as_any_plugin_does() {
    let place = Place::new();
    let mut layout = Layout::new(&place.path("images"));
    artifact(&mut layout, "1.0", binary(guests::prints("args")));
    place.run("run oci-layout:images a -b").assert_output(0, "images\0a\0-b\0");
    place.run("oci-layout:images:1.0 a").assert_output(0, "images:1.0\0a\0");
    place.run("run --argv0 me oci-layout:images").assert_output(0, "me\0");
    // It was compiled once, and is kept as the others are.
    assert_eq!(code::entries(&place).len(), 1);
}

#[test]
fn several_are_told_apart_by_tag_or_digest() {
    let place = Place::new();
    let mut layout = Layout::new(&place.path("images"));
    artifact(&mut layout, "one", binary(guests::says_only("one")));
    let two = artifact(&mut layout, "two", binary(guests::says_only("two")));
    place.run("run oci-layout:images:one").assert_output(0, "one\n");
    place.run(&format!("run oci-layout:images@{two}")).assert_output(0, "two\n");
    let choose = "  help: put one of these behind the directory: :one, :two\n";
    place.run("run oci-layout:images").assert(1, &format!("error: there are 2 images in this layout\n{choose}"));
    place.run("run oci-layout:images:three").assert(1, &format!("error: there is no tag three in this layout\n{choose}"));
}

#[test]
fn what_is_not_what_its_digest_says_is_not_run() {
    let plugin = binary(guests::hello());
    for (kind, damaged) in [("layer", 0), ("config", 1), ("manifest", 2)] {
        let place = Place::new();
        let mut layout = Layout::new(&place.path("images"));
        let layer = tar(&[("p.wasm", Entry::File(&plugin))]);
        plain(&mut layout, "1", &["/p.wasm"], TAR, vec![layer]);
        place.run("run oci-layout:images").assert_output(0, "hello\n");
        let mut blobs: Vec<_> = fs::read_dir(place.path("images/blobs/sha256")).expect("a folder").flatten().collect();
        blobs.sort_by_key(|blob| {
            let text = fs::read(blob.path()).map(|content| String::from_utf8_lossy(&content).into_owned()).unwrap_or_default();
            if text.contains("schemaVersion") { 2 } else { usize::from(text.contains("rootfs")) }
        });
        let path = blobs[damaged].path();
        let mut content = fs::read(&path).expect("a blob");
        // At the end of a layer there is nothing that anybody reads, and in the others nobody looks at this.
        if kind == "layer" {
            *content.last_mut().expect("a byte") = 1
        } else {
            content = String::from_utf8(content)
                .expect("text")
                .replace("linux", "Linux")
                .replace("Version\":2", "Version\":3")
                .into();
        }
        fs::write(&path, content).expect("a blob");
        let outcome = place.run("run oci-layout:images");
        let digest = path.file_name().and_then(|name| name.to_str()).expect("a digest");
        let told =
            format!("error: the blob sha256:{digest} is damaged, or is not what it says\n  cause: its digest is sha256:");
        assert!(outcome.status == Some(1) && outcome.stderr.starts_with(&told), "{kind}: {outcome:?}");
        assert_eq!(outcome.stdout, "", "{kind}");
    }
}

#[test]
fn what_is_of_another_size_than_it_says_is_not_read() {
    let place = Place::new();
    let mut layout = Layout::new(&place.path("images"));
    let layer = tar(&[("p.wasm", Entry::File(&binary(guests::hello())))]);
    let length = layer.len();
    plain(&mut layout, "1", &["/p.wasm"], TAR, vec![layer.clone()]);
    let blobs = fs::read_dir(place.path("images/blobs/sha256")).expect("a folder").flatten();
    let blob = blobs.map(|blob| blob.path()).find(|blob| fs::read(blob).is_ok_and(|content| content == layer)).expect("a blob");
    // It takes no place, and half a minute to be read.
    File::options().write(true).open(&blob).and_then(|file| file.set_len(10 << 30)).expect("a file with a hole");
    let digest = blob.file_name().and_then(|name| name.to_str()).expect("a digest");
    place.run("run oci-layout:images").assert(
        1,
        &format!(
            "error: the blob sha256:{digest} is damaged, or is not what it says\n  \
             cause: it has 10737418240 bytes, and is to have {length}\n  help: fetch the image again\n"
        ),
    );
    // Without a size in the index there is a limit all the same.
    let index = json!({ "manifests": [{ "digest": format!("sha256:{digest}") }] });
    fs::write(place.path("images/index.json"), index.to_string()).expect("a file");
    place.run("run oci-layout:images").assert(
        1,
        "error: images is larger than the image of a plugin may be\n  \
         cause: its parts have more than 8 GiB, as they are and unpacked\n  help: put the plugin into an image of its own\n",
    );
}

#[test]
fn an_image_has_so_many_layers_and_names_and_no_more() {
    let place = Place::new();
    let mut layout = Layout::new(&place.path("images"));
    let hello = binary(guests::hello());
    let empty = tar(&[]);
    let layers = |number: usize| [vec![tar(&[("p.wasm", Entry::File(&hello))])], vec![empty.clone(); number - 1]].concat();
    plain(&mut layout, "stack", &["/p.wasm"], TAR, layers(500));
    plain(&mut layout, "pile", &["/p.wasm"], TAR, layers(501));
    place.run("run oci-layout:images:stack").assert_output(0, "hello\n");
    place.run("run oci-layout:images:pile").assert(
        1,
        "error: there are 501 layers in this image, and 500 is the limit\n  help: put the plugin into an image of its own\n",
    );
    let names: Vec<String> = (0..1001).map(|number| format!("{number:04}.wasm")).collect();
    let files = |number: usize| tar(&names[..number].iter().map(|name| (name.as_str(), Entry::File(b"x"))).collect::<Vec<_>>());
    plain(&mut layout, "many", &[], TAR, vec![files(1000)]);
    plain(&mut layout, "more", &[], TAR, vec![files(1001)]);
    let list = (0..10).map(|number| format!("{number:04}.wasm, ")).collect::<String>();
    let help = "  help: give it an entrypoint that is one of them\n";
    place
        .run("run oci-layout:images:many")
        .assert(1, &format!("error: there are several plugins in this image: {list}and 990 more\n{help}"));
    let more = place.run("run oci-layout:images:more");
    let told = format!("  cause: there are more than 1000 plugins in this image, or their names are too long\n{help}");
    assert!(more.status == Some(1) && more.stderr.ends_with(&told), "{more:?}");
}

#[test]
fn to_read_an_image_takes_no_longer_than_it_may() {
    const MIB: usize = 1 << 20;
    let place = Place::new();
    let mut layout = Layout::new(&place.path("images"));
    // 256 MiB of nothing, and that again and again.
    let zeros = vec![0; 256 * MIB];
    let layer = gzip(&tar(&[("zeros", Entry::File(&zeros))]));
    let gzipped = "application/vnd.oci.image.layer.v1.tar+gzip";
    plain(&mut layout, "slow", &[], gzipped, vec![layer; 20]);
    drop(zeros);
    for command in ["run", "compile -o out.cwasm"] {
        place.run(&format!("{command} --max-compile-time 50ms oci-layout:images")).assert(
            1,
            "error: images takes longer to read than it may\n  cause: it was not read after 50ms\n  \
             help: give it more time with --max-compile-time, as in --max-compile-time 10m, if you trust who made it\n",
        );
    }
    // Nor is a file system waited for that does not answer.
    let Some(fuse) = Fuse::mount() else { return };
    fuse.answer(Op::Lookup, Answer::Never);
    let mut command = place.command("run --max-compile-time 50ms");
    command.arg(format!("oci-layout:{}", fuse.join("images").display())).stdout(Stdio::piped()).stderr(Stdio::piped());
    let outcome = Outcome::from(end(command.spawn().expect("the program starts")));
    assert!(outcome.status == Some(1) && outcome.stderr.contains("it was not read after 50ms"), "{outcome:?}");
}

#[test]
fn what_a_later_layer_takes_away_is_not_run() {
    let place = Place::new();
    let mut layout = Layout::new(&place.path("images"));
    let (one, two) = (binary(guests::says_only("one")), binary(guests::says_only("two")));
    let old = tar(&[("app/old.wasm", Entry::File(&one))]);
    let both = tar(&[("app/old.wasm", Entry::File(&one)), ("app/other.wasm", Entry::File(&two))]);
    let whiteout = |name: &str| tar(&[(name, Entry::File(b""))]);
    let new = tar(&[("app/.wh.old.wasm", Entry::File(b"")), ("app/new.wasm", Entry::File(&two))]);
    plain(&mut layout, "replaced", &[], TAR, vec![old.clone(), new.clone()]);
    plain(&mut layout, "first", &[], TAR, vec![both.clone(), whiteout("app/.wh.other.wasm")]);
    plain(&mut layout, "gone", &[], TAR, vec![old.clone(), whiteout("app/.wh.old.wasm")]);
    plain(&mut layout, "opaque", &[], TAR, vec![old.clone(), whiteout("app/.wh..wh..opq")]);
    plain(&mut layout, "named", &["/app/old.wasm"], TAR, vec![old.clone(), new]);
    plain(&mut layout, "link", &["/app/old.wasm"], TAR, vec![old, tar(&[("app/old.wasm", Entry::Link("other"))])]);
    place.run("run oci-layout:images:replaced").assert_output(0, "two\n");
    // What was read last is not what is left.
    place.run("run oci-layout:images:first").assert_output(0, "one\n");
    for gone in ["gone", "opaque"] {
        let outcome = place.run(&format!("run oci-layout:images:{gone}"));
        let told = "error: there is no WebAssembly in this image\n";
        assert!(outcome.status == Some(1) && outcome.stderr.starts_with(told), "{gone}: {outcome:?}");
    }
    for other in ["named", "link"] {
        let outcome = place.run(&format!("run oci-layout:images:{other}"));
        let told = "error: app/old.wasm is no file of this image\n";
        assert!(outcome.status == Some(1) && outcome.stderr.starts_with(told), "{other}: {outcome:?}");
    }
}

#[test]
fn names_of_an_image_do_not_steer_the_terminal() {
    let place = Place::new();
    let mut layout = Layout::new(&place.path("images"));
    let layer = tar(&[("a\x1b]0;b\x07.wasm", Entry::File(b"x")), ("c.wasm", Entry::File(b"x"))]);
    plain(&mut layout, "t\x1b[2J", &[], TAR, vec![layer]);
    place.run("run oci-layout:images").assert(
        1,
        "error: there are several plugins in this image: a\\u{1b}]0;b\\u{7}.wasm, c.wasm\n  \
         help: give it an entrypoint that is one of them\n",
    );
    place
        .run("run oci-layout:images:none")
        .assert(1, "error: there is no tag none in this layout\n  help: put one of these behind the directory: :t\\u{1b}[2J\n");
}

#[test]
fn an_image_is_inspected_and_compiled_as_it_is_run() {
    let place = Place::new();
    let mut layout = Layout::new(&place.path("images"));
    artifact(&mut layout, "1.0", binary(guests::hello()));
    place.write("hello.wasm", binary(guests::hello()));
    place.run("inspect oci-layout:images:1.0").assert_output(0, &place.run("inspect hello.wasm").stdout);
    place.run("compile oci-layout:images:1.0 -o hello.cwasm").assert_output(0, "");
    place.run("run hello.cwasm").assert_output(0, "hello\n");
    place
        .run("compile oci-layout:images:1.0")
        .assert(2, "error: name the file to write with --output: an image gives it no name\n  help: see aiohost --help\n");
}

#[test]
fn a_plain_image_has_the_plugin_among_its_files() {
    let place = Place::new();
    let mut layout = Layout::new(&place.path("images"));
    let (one, two) = (binary(guests::says_only("one")), binary(guests::says_only("two")));
    let both = tar(&[("app/one.wasm", Entry::File(&one)), ("app/two.wasm", Entry::File(&two))]);
    let old = tar(&[("app/two.wasm", Entry::File(&one))]);
    let new = tar(&[("./app/two.wasm", Entry::File(&two)), ("link.wasm", Entry::Link("x"))]);
    plain(&mut layout, "named", &["/app/two.wasm", "--x"], TAR, vec![both.clone()]);
    plain(&mut layout, "gzip", &["app/one.wasm"], "application/vnd.docker.image.rootfs.diff.tar.gzip", vec![gzip(&both)]);
    plain(&mut layout, "only", &[], TAR, vec![old, new]);
    plain(&mut layout, "unclear", &["/bin/sh"], TAR, vec![both]);
    plain(&mut layout, "empty", &["/bin/sh"], TAR, vec![tar(&[("bin/sh", Entry::File(b"x"))])]);
    plain(&mut layout, "zstd", &["/p.wasm"], "application/vnd.oci.image.layer.v1.tar+zstd", vec![b"x".to_vec()]);
    plain(&mut layout, "cut", &["/app/one.wasm"], "application/vnd.oci.image.layer.v1.tar+gzip", vec![b"\x1f\x8b".to_vec()]);
    place.run("run oci-layout:images:named").assert_output(0, "two\n");
    place.run("run oci-layout:images:gzip").assert_output(0, "one\n");
    place.run("run oci-layout:images:only").assert_output(0, "two\n");
    place.run("run oci-layout:images:unclear").assert(
        1,
        "error: there are several plugins in this image: app/one.wasm, app/two.wasm\n  \
         help: give it an entrypoint that is one of them\n",
    );
    place.run("run oci-layout:images:empty").assert(
        1,
        "error: there is no WebAssembly in this image\n  \
         help: an image of a plugin has a layer `application/wasm`, or a .wasm in its files\n",
    );
    place.run("run oci-layout:images:zstd").assert(
        1,
        "error: there is a layer application/vnd.oci.image.layer.v1.tar+zstd in this image, which is not known here\n  \
         help: layers are read if they are application/wasm, or tar, plain or with gzip\n",
    );
    let cut = place.run("run oci-layout:images:cut");
    assert!(cut.status == Some(1) && cut.stderr.contains(" cannot be unpacked\n"), "{cut:?}");
}

#[test]
fn what_is_no_layout_is_told() {
    let place = Place::new();
    place.make_dir("folder");
    let help = "  help: a layout is a directory with index.json, oci-layout and blobs, as `skopeo copy .. oci:DIR` makes it\n";
    for dir in ["folder", "none"] {
        place.run(&format!("run oci-layout:{dir}")).assert(1, &format!("error: {dir} is no OCI image layout\n{help}"));
    }
    let layout = Layout::new(&place.path("empty"));
    fs::write(layout.dir.join("index.json"), r#"{"manifests":[]}"#).expect("a file");
    place.run("run oci-layout:empty").assert(1, "error: there is no image in this layout\n  help: copy one into it\n");
    fs::write(layout.dir.join("index.json"), r#"{"manifests":[{"digest":"sha256:../../../etc/passwd"}]}"#).expect("a file");
    let outcome = place.run("run oci-layout:empty");
    assert!(outcome.status == Some(1) && outcome.stderr.contains("is not 64 digits of hexadecimal"), "{outcome:?}");
    let wrong = place.run("run oci-layout:");
    assert!(wrong.status == Some(2) && wrong.stderr.contains("it is oci-layout:DIR, oci-layout:DIR:TAG or"), "{wrong:?}");
}

/// Compiled code that came with an image would be anybody's native code.
#[test]
fn compiled_code_of_an_image_is_not_run() {
    let place = Place::with("hello.wat", guests::hello());
    place.run("compile hello.wat").assert_output(0, "");
    let mut layout = Layout::new(&place.path("images"));
    artifact(&mut layout, "a.cwasm", fs::read(place.path("hello.cwasm")).expect("compiled code"));
    let outcome = place.run("run oci-layout:images:a.cwasm");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(1), ""), "{outcome:?}");
    assert!(outcome.stderr.starts_with("error: images:a.cwasm is compiled code, which is not run"), "{outcome:?}");
}

/// With it, this is what `tests/registry.rs` is about.
#[cfg(not(feature = "registry"))]
#[test]
fn without_the_feature_for_it_no_registry_is_asked() {
    let place = Place::new();
    for command in ["run", "run --no-cache", "inspect", "compile -o out.cwasm"] {
        for prefix in ["docker", "oci"] {
            place.run(&format!("{command} {prefix}://127.0.0.1:1/team/app:1")).assert(
                1,
                "error: this aiohost was built without registries\n  \
                 help: build it with them, by `cargo install aiohost --features registry`; or fetch the image by another program, \
                 as in `skopeo copy docker://127.0.0.1:1/team/app:1 oci:images:plugin`, and run oci-layout:images:plugin\n",
            );
        }
    }
    assert!(!place.own("cache/images").exists());
}
