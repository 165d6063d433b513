//! The guest examples on 20,000 files, checked by `sha256sum`; and the examples of applications.
//!
//! A guest whose toolchain `guest-examples/build.sh` could not have is shown and counted as ignored.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;

use many::{FILES, FOLDERS, tree};

#[path = "support/many.rs"]
mod many;
#[path = "support/program.rs"]
mod program;

/// The guests, as `guest-examples/build.sh` names them.
const LANGUAGES: [&str; 8] = ["rust", "rust-async", "c", "cpp", "zig", "go", "python", "javascript"];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = LANGUAGES.into_iter().map(of_language).collect();
    let applications: [(&str, fn()); 6] = [
        ("embed", embed),
        ("processor", processor),
        ("server", server),
        ("server_ends_a_plugin_that_takes_too_long", slow),
        ("server_refuses_a_plugin_that_takes_too_much", large),
        ("server_answers_what_is_under_way_when_it_ends", ending),
    ];
    trials.extend(applications.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

fn of_language(language: &'static str) -> Trial {
    let skipped = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(format!("guests/manifest-{language}.skipped"));
    let why = fs::read_to_string(skipped).ok();
    if let Some(why) = &why {
        eprintln!("{language} is skipped: {}", why.trim_end());
    }
    let trial = Trial::test(language, move || {
        manifest(language);
        Ok(())
    });
    trial.with_ignored_flag(why.is_some())
}

/// A file in the target directory. Cargo gives the tests a directory `tmp` in it.
fn target(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(path);
    assert!(path.exists(), "{} is missing: run guest-examples/build.sh, or for an example `cargo build`", path.display());
    path
}

fn text(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// Runs a command that has to succeed.
fn succeeds(command: &mut Command) -> String {
    let output = command.output().expect("the command can be started");
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    text(&output)
}

/// What `sha256sum` accepts, and that it is about every file.
fn assert_manifest(dir: &Path) {
    succeeds(Command::new("sha256sum").args(["--check", "--strict", "--quiet", "MANIFEST.sha256"]).current_dir(dir));
    let manifest = fs::read_to_string(dir.join("MANIFEST.sha256")).expect("the guest has written it");
    assert_eq!(manifest.lines().count(), FOLDERS * FILES);
}

fn manifest(guest: &str) {
    let dir = tree();
    let guest = target(&format!("guests/manifest-{guest}.wasm"));
    let said = succeeds(Command::new(program::aiohost()).arg("run").arg(guest).arg("--dir").arg(dir.path()));
    assert!(said.contains("20000 files"), "{said}");
    assert_manifest(dir.path());
}

fn embed() {
    let dir = tree();
    let said =
        succeeds(Command::new(target("release/examples/embed")).arg(target("guests/manifest-rust.wasm")).arg(dir.path()));
    assert!(said.contains("20000 files") && said.contains("scandir: 201 done, 0 failed"), "{said}");
    assert_manifest(dir.path());
}

/// Typed calls both ways, and handles that are handed over.
fn processor() {
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    fs::write(dir.path().join("b"), "not this one").expect("it is new");
    fs::write(dir.path().join("a"), "one\ntwo\nthree").expect("it is new");
    fs::create_dir(dir.path().join("more")).expect("it is new");
    for name in ["second", "first"] {
        fs::write(dir.path().join("more").join(name), "").expect("it is new");
    }
    let said =
        succeeds(Command::new(target("release/examples/processor")).arg(target("guests/processor.wasm")).arg(dir.path()));
    let expected = [
        "anna: it will be a",
        "anna: 2 lines in 13 bytes",
        "the file has 13 bytes",
        "anna: 2 lines in 13 bytes",
        "in the directory: first, second",
        "2 lines, 13 bytes, 3 reports",
    ];
    assert!(said.contains(&expected.join("\n")), "{said}");
}

/// The server of the example, which ends with this.
struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(plugin: &Path, root: &Path, seconds: &str) -> Self {
        let mut command = Command::new(target("release/examples/server"));
        command.arg(plugin).arg(root).args(["127.0.0.1:0", seconds]).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it can be started");
        let mut output = BufReader::new(process.stdout.take().expect("it is a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it says where it listens");
        let address = line.trim_end().strip_prefix("listening on ").expect("an address").to_owned();
        Self { process, output, address }
    }

    /// The status, the header and the body of an answer.
    fn ask(&self, request: &str, body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let length = body.len();
        write!(stream, "{request} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
            .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer of HTTP");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, head.to_owned(), body.to_owned())
    }

    /// Tells it to end as an operator does.
    fn terminate(&self) {
        let pid = self.process.id().to_string();
        succeeds(Command::new("kill").args(["-TERM", &pid]));
    }

    /// Ends it, and gives what else it has said.
    fn end(self) -> String {
        self.terminate();
        self.ended()
    }

    /// Waits until it has ended.
    fn ended(mut self) -> String {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("it can be read");
        assert!(self.process.wait().expect("it ends").success(), "{rest}");
        rest
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where a test failed. One that has ended is none any more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Each tenant has its own directory, and none has another's.
fn server() {
    let root = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    for (tenant, files) in [("anna", 1), ("otto", 3)] {
        fs::create_dir(root.path().join(tenant)).expect("it is new");
        for file in 0..files {
            fs::write(root.path().join(tenant).join(file.to_string()), "content").expect("it is new");
        }
    }
    let server = Server::start(&target("guests/manifest-rust.wasm"), root.path(), "10");
    // Two at a time, each in a directory of its own: two in one directory would be in each other's way.
    for _ in 0..4 {
        std::thread::scope(|scope| {
            for (tenant, files) in [("anna", "1 files"), ("otto", "3 files")] {
                let server = &server;
                scope.spawn(move || {
                    let (status, head, body) = server.ask(&format!("POST /run/{tenant}"), "");
                    assert_eq!(status, 200, "{head} {body}");
                    assert!(head.contains("exit-status: 0") && body.contains(files), "{head} {body}");
                });
            }
        });
    }
    for tenant in ["anna", "otto"] {
        assert!(root.path().join(tenant).join("MANIFEST.sha256").exists());
    }
    assert!(!root.path().join("MANIFEST.sha256").exists());
    for nobody in ["emil", "..", "%2e%2e", "anna%2f..%2fotto", ""] {
        let (status, ..) = server.ask(&format!("POST /run/{nobody}"), "");
        assert_eq!(status, 404, "{nobody}");
    }
    let (status, _, metrics) = server.ask("GET /metrics", "");
    assert_eq!(status, 200);
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse::<u64>().ok()).unwrap_or_else(|| panic!("{name} is missing: {metrics}"))
    };
    assert!(value("plugin_runs_total") >= 8 && value("aiohost_requests_total{request=\"scandir\"}") == 8, "{metrics}");
    assert_eq!((value("aiohost_requests_running"), value("aiohost_requests_queued")), (0, 0));
    assert_eq!(server.end(), "ended\n");
}

/// One that computes for ever keeps nobody else from being served.
fn slow() {
    let root = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    fs::create_dir(root.path().join("anna")).expect("it is new");
    let plugin = root.path().join("spins.wat");
    let text = r#"(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))"#;
    fs::write(&plugin, text).expect("it is new");
    let server = Server::start(&plugin, root.path(), "0.5");
    std::thread::scope(|scope| {
        let runs = [(); 4].map(|()| scope.spawn(|| server.ask("POST /run/anna", "")));
        assert_eq!(server.ask("GET /metrics", "").0, 200);
        for run in runs {
            let (status, _, body) = run.join().expect("it is answered");
            assert_eq!(status, 504, "{body}");
            assert!(body.contains("it took longer than"), "{body}");
        }
    });
    assert_eq!(server.end(), "ended\n");
}

/// A plugin that asks for more memory than it may have is told so, and the server goes on.
fn large() {
    let root = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    fs::create_dir(root.path().join("anna")).expect("it is new");
    let plugin = root.path().join("large.wat");
    // 128 MiB, of 64.
    fs::write(&plugin, r#"(module (memory (export "memory") 2048) (func (export "_start")))"#).expect("it is new");
    let server = Server::start(&plugin, root.path(), "10");
    for _ in 0..2 {
        let (status, _, body) = server.ask("POST /run/anna", "");
        assert_eq!((status, body.as_str()), (507, "large.wat reached a limit\n"));
    }
    let (_, _, metrics) = server.ask("GET /metrics", "");
    assert!(metrics.contains("plugin_runs_failed_total 2\n"), "{metrics}");
    assert_eq!(server.end(), "ended\n");
}

/// What is under way when the server is to end is answered first, and nothing new is begun.
fn ending() {
    let root = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory can be written");
    let dir = root.path().join("anna");
    fs::create_dir(&dir).expect("it is new");
    let plugin = root.path().join("waits.wat");
    // It makes the file `begun`, and tries to open `go` until that is there.
    let text = r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "begungo")
        (func (export "_start")
            (drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 1)
                (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 64)))
            (loop $again
                (br_if $again (call $open (i32.const 3) (i32.const 0) (i32.const 5) (i32.const 2) (i32.const 0)
                    (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 64))))))"#;
    fs::write(&plugin, text).expect("it is new");
    let server = Server::start(&plugin, root.path(), "60");
    std::thread::scope(|scope| {
        let run = scope.spawn(|| server.ask("POST /run/anna", ""));
        while !dir.join("begun").exists() {
            assert!(!run.is_finished(), "it waits");
            std::thread::yield_now();
        }
        server.terminate();
        while TcpStream::connect(&server.address).is_ok() {
            std::thread::yield_now();
        }
        assert!(!run.is_finished(), "it waits still");
        fs::write(dir.join("go"), "").expect("it is new");
        let (status, head, body) = run.join().expect("it is answered");
        assert_eq!(status, 200, "{head} {body}");
    });
    assert_eq!(server.ended(), "ended\n");
}
