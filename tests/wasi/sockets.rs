//! Sockets: every guest is denied them, and whoever runs it is told why, once.

use std::path::Path;
use std::process::Command;

use crate::guests::{Language, program};
use crate::plans::new_dir;

/// What is said of a denial.
const DENIED: &str = "the plugin tries to use a socket, and is denied it: there is no network here";

/// Runs a guest, which has to end well; gives what it says, and how often a denial is told of.
fn run(guest: &Path, options: &[&str], arguments: &[&str]) -> (String, usize) {
    let mut command = Command::new(crate::program::aiohost());
    command.arg("run").args(options).arg("--no-cache").arg(guest).args(arguments);
    let output = command.env_remove("AIOHOST_LOG").output().expect("the host can be started");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    let told = String::from_utf8_lossy(&output.stderr).matches(DENIED).count();
    (String::from_utf8(output.stdout).expect("programs say text"), told)
}

#[test]
fn a_socket_of_wasi_0_2_is_denied_and_told_of_once() {
    let Some(guest) = program("sockets", Language::Rust) else { return };
    for way in ["connect", "listen", "send", "look-up"] {
        assert_eq!(run(&guest, &[], &[way]), ("denied\ndenied\n".to_owned(), 1), "{way}");
    }
    assert_eq!(run(&guest, &["-q"], &["connect"]), ("denied\ndenied\n".to_owned(), 0));
    // One that tries none is not told of.
    assert_eq!(run(&guest, &[], &["none"]), ("done\ndone\n".to_owned(), 0));
}

/// Asks for something of WASI 0.3 twice, and ends well if it is told that error. `call` calls the function, which is of the core type
/// `core`, and has it leave its result at 0.
fn asks(instance: &str, function: &str, core: &str, call: &str, error: u8) -> String {
    format!(
        r#"(component
        {instance}
        (core module $heap (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
        (core instance $heap (instantiate $heap))
        (core func $ask (canon lower (func $sockets "{function}")
            (memory (core memory $heap "memory")) (realloc (core func $heap "realloc"))))
        (core module $code
            (import "host" "memory" (memory 1))
            (import "host" "ask" (func $ask {core}))
            (func $is_denied (result i32)
                {call}
                (i32.and (i32.load8_u (i32.const 0)) (i32.eq (i32.load8_u (i32.const 4)) (i32.const {error}))))
            (func (export "run") (result i32) (i32.eqz (i32.and (call $is_denied) (call $is_denied)))))
        (core instance $code (instantiate $code (with "host" (instance
            (export "memory" (memory $heap "memory")) (export "ask" (func $ask))))))
        (func $run async (result (result)) (canon lift (core func $code "run")))
        (instance $exports (export "run" (func $run)))
        (export "wasi:cli/run@0.3.0" (instance $exports)))"#
    )
}

/// Asks for a socket, of `tcp` or of `udp`.
fn creates(protocol: &str) -> String {
    let instance = format!(
        r#"(import "wasi:sockets/types@0.3.0" (instance $sockets
            (export "{protocol}-socket" (type $socket (sub resource)))
            (type $codes (variant
                (case "access-denied") (case "not-supported") (case "invalid-argument") (case "out-of-memory")
                (case "timeout") (case "invalid-state") (case "address-not-bindable") (case "address-in-use")
                (case "remote-unreachable") (case "connection-refused") (case "connection-broken")
                (case "connection-reset") (case "connection-aborted") (case "datagram-too-large")
                (case "other" (option string))))
            (export "error-code" (type $code (eq $codes)))
            (type $families (enum "ipv4" "ipv6"))
            (export "ip-address-family" (type $family (eq $families)))
            (export "[static]{protocol}-socket.create"
                (func (param "address-family" $family) (result (result (own $socket) (error $code)))))))"#
    );
    let function = format!("[static]{protocol}-socket.create");
    asks(&instance, &function, "(param i32 i32)", "(call $ask (i32.const 0) (i32.const 0))", 0)
}

/// Looks up the name of a host.
fn looks_up() -> String {
    let instance = r#"(import "wasi:sockets/ip-name-lookup@0.3.0" (instance $sockets
            (type $addresses (variant
                (case "ipv4" (tuple u8 u8 u8 u8)) (case "ipv6" (tuple u16 u16 u16 u16 u16 u16 u16 u16))))
            (export "ip-address" (type $address (eq $addresses)))
            (type $codes (variant
                (case "access-denied") (case "invalid-argument") (case "name-unresolvable")
                (case "temporary-resolver-failure") (case "permanent-resolver-failure") (case "other" (option string))))
            (export "error-code" (type $code (eq $codes)))
            (export "resolve-addresses"
                (func async (param "name" string) (result (result (list $address) (error $code)))))))"#;
    let call = "(call $ask (i32.const 64) (i32.const 1) (i32.const 0))";
    asks(instance, "resolve-addresses", "(param i32 i32 i32)", call, 4)
}

/// Accepts on each descriptor up to 3, with 3 a directory, and ends well if none is a socket.
const ACCEPTS: &str = r#"(module
    (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (local $fd i32)
        (loop $again
            (if (i32.ne (call $accept (local.get $fd) (i32.const 0) (i32.const 0)) (i32.const 57))
                (then (call $exit (i32.add (local.get $fd) (i32.const 1)))))
            (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
            (br_if $again (i32.le_u (local.get $fd) (i32.const 3))))))"#;

#[test]
fn a_socket_of_the_other_versions_is_denied_and_told_of_once() {
    let dir = new_dir();
    let directory = dir.path().to_str().expect("a path of our own");
    let guests = [
        ("tcp.wat", creates("tcp")),
        ("udp.wat", creates("udp")),
        ("lookup.wat", looks_up()),
        ("accepts.wat", ACCEPTS.to_owned()),
    ];
    for (name, text) in guests {
        let guest = dir.path().join(name);
        std::fs::write(&guest, text).expect("a directory of our own");
        assert_eq!(run(&guest, &["--dir", directory], &[]), (String::new(), 1), "{name}");
    }
}
