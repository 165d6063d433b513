//! The images of the tests: the guest that they run, one in each language, and one that would do harm.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::image::{CONFIG, Entry, Layout, TAR, config, tar};

/// The guest examples, as `guest-examples/build.sh` names them.
pub(crate) const LANGUAGES: [&str; 8] = ["rust", "rust-async", "c", "cpp", "zig", "go", "python", "javascript"];

/// A guest that was built before.
pub(crate) fn guest(name: &str) -> PathBuf {
    // Cargo gives the tests a directory `tmp` in the target directory.
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests").join(name)
}

/// What an image is called.
pub(crate) fn name(of: &str) -> String {
    format!("localhost/{of}:1")
}

/// Makes a layout of all images in a directory, as `layout`, and gives the names of those that are of no language.
pub(crate) fn make(dir: &Path) -> Vec<String> {
    let mut layout = Layout::new(&dir.join("layout"));
    let mut names = Vec::new();
    let tool = fs::read(guest("container.wasm")).expect("tests/guests/build.sh has built it");
    let mut add = |of: &str, command: &[&str], entries: &[(&str, Entry<'_>)], annotations: &Value| {
        let layer = tar(entries);
        layout.add(&name(of), (CONFIG, &config(command, &layer)), &[(TAR, layer)], annotations);
        names.push(name(of));
    };
    let secret = ("secret", Entry::File(b"of the image".as_slice()));
    add("tool", &["/app/tool.wasm"], &[("app/tool.wasm", Entry::File(&tool)), secret], &json!({}));
    add("other-name", &["/app/tool"], &[("app/tool", Entry::File(&tool))], &json!({}));
    add("none", &["/app/none.wasm"], &[("app/tool.wasm", Entry::File(&tool))], &json!({}));
    add("broken", &["/broken.wasm"], &[("broken.wasm", Entry::File(b"\0asm\x01\0\0\0\xff"))], &json!({}));
    add("native", &["/bin/sh", "-c", "echo native"], &[("bin/sh", Entry::File(b"#!none"))], &json!({}));
    add("code", &["/tool.cwasm"], &[("tool.cwasm", Entry::File(b"\x7fELF"))], &json!({}));
    add("leading-out", &["/out.wasm"], &[("out.wasm", Entry::Link("../../../../../../etc/passwd"))], &json!({}));
    // What a loader and a shell would look at, and links in the places of what is mounted.
    let hostile = [
        ("tool.wasm", Entry::File(tool.as_slice())),
        ("etc/ld.so.preload", Entry::File(b"/evil.so\n")),
        ("evil.so", Entry::File(b"no library")),
        (".aiohost", Entry::Link("/data")),
        ("lib64", Entry::Link("/data")),
        ("proc", Entry::Link("/data")),
    ];
    // podman takes annotations of images for those of containers.
    let annotations = json!({ "dev.aiohost.dirs": "/data", "dev.aiohost.max-open-files": "100" });
    add("hostile", &["/tool.wasm"], &hostile, &annotations);
    let greedy = json!({ "dev.aiohost.max-memory": "64GiB", "dev.aiohost.allow": "procfs" });
    add("greedy", &["/tool.wasm"], &[("tool.wasm", Entry::File(&tool))], &greedy);
    for language in LANGUAGES {
        if let Ok(wasm) = fs::read(guest(&format!("manifest-{language}.wasm"))) {
            add(language, &["/manifest.wasm"], &[("manifest.wasm", Entry::File(&wasm))], &json!({}));
        }
    }
    names.retain(|name| LANGUAGES.iter().all(|language| *name != self::name(language)));
    names
}
