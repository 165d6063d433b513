//! Guests as WebAssembly text, each as short as what it shows allows.

/// A core module for WASI preview 1: `declarations` and the body of `_start`.
pub(crate) fn preview1(declarations: &str, body: &str) -> String {
    format!(
        r#"(module
          {declarations}
          (memory (export "memory") 1)
          (func (export "_start") (local $n i32) {body}))"#
    )
}

const EXIT: &str = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
const WRITE: &str = r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))"#;

/// Writes this line, which the data at 8 must be, and then does something else.
fn says(line: &str, declarations: &str, body: &str) -> String {
    let length = line.len() + 1;
    let declarations = format!(r#"{WRITE} {declarations} (data (i32.const 8) "{line}\n")"#);
    let write = format!(
        "(i32.store (i32.const 0) (i32.const 8)) (i32.store (i32.const 4) (i32.const {length}))
         (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 256)))"
    );
    preview1(&declarations, &format!("{write} {body}"))
}

/// Says "hello".
pub(crate) fn hello() -> String {
    says("hello", "", "")
}

/// Says this line.
pub(crate) fn says_only(line: &str) -> String {
    says(line, "", "")
}

/// Says "ready" and goes on for ever without calling the host.
pub(crate) fn spins() -> String {
    says("ready", "", "(loop $again (br $again))")
}

/// Says "ready" and traps.
pub(crate) fn traps() -> String {
    says("ready", "", "unreachable")
}

/// Ends with this status.
pub(crate) fn exits(status: u8) -> String {
    preview1(EXIT, &format!("(call $exit (i32.const {status}))"))
}

/// Says "ready", opens the file `slow` of its first directory, reads from it, writes to it, and closes it.
pub(crate) fn uses_slow_file() -> String {
    let declarations = r#"
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
        (data (i32.const 64) "slow")"#;
    let body = "(drop (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4)
            (i32.const 0) (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 512)))
        (i32.store (i32.const 520) (i32.const 1024)) (i32.store (i32.const 524) (i32.const 8))
        (drop (call $read (i32.load (i32.const 512)) (i32.const 520) (i32.const 1) (i32.const 528)))
        (drop (call $write (i32.load (i32.const 512)) (i32.const 520) (i32.const 1) (i32.const 528)))
        (drop (call $close (i32.load (i32.const 512))))";
    says("ready", declarations, body)
}

/// Recurses for ever.
pub(crate) fn recurses() -> String {
    preview1("(func $f (call $f))", "(call $f)")
}

/// Prints its arguments or its environment, with NULs between.
pub(crate) fn prints(what: &str) -> String {
    let declarations = format!(
        r#"{WRITE}
        (import "wasi_snapshot_preview1" "{what}_sizes_get" (func $sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "{what}_get" (func $get (param i32 i32) (result i32)))"#
    );
    preview1(
        &declarations,
        "(drop (call $sizes (i32.const 0) (i32.const 4)))
         (drop (call $get (i32.const 1024) (i32.const 8192)))
         (i32.store (i32.const 0) (i32.const 8192))
         (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 256)))",
    )
}

/// Makes the directory `new` in preopen `number`, counted from 0, and fails if it cannot.
pub(crate) fn makes_directory(number: u8) -> String {
    let declarations = format!(
        r#"{EXIT} (import "wasi_snapshot_preview1" "path_create_directory" (func $make (param i32 i32 i32) (result i32)))
        (data (i32.const 8) "new")"#
    );
    let body =
        format!("(call $exit (i32.ne (i32.const 0) (call $make (i32.const {}) (i32.const 8) (i32.const 3))))", number + 3);
    preview1(&declarations, &body)
}

/// Prints the name of preopen `number`, counted from 0.
pub(crate) fn names_preopen(number: u8) -> String {
    let declarations = format!(
        r#"{WRITE}
        (import "wasi_snapshot_preview1" "fd_prestat_get" (func $length (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $name (param i32 i32 i32) (result i32)))"#
    );
    // The length is behind the tag, and where `fd_write` looks for it.
    let fd = number + 3;
    let body = format!(
        "(drop (call $length (i32.const {fd}) (i32.const 0)))
         (drop (call $name (i32.const {fd}) (i32.const 8192) (i32.load (i32.const 4))))
         (i32.store (i32.const 0) (i32.const 8192))
         (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 256)))"
    );
    preview1(&declarations, &body)
}

/// Renames a file of its first directory over another, and fails if it cannot.
pub(crate) fn renames(old: &str, new: &str) -> String {
    let declarations = format!(
        r#"{EXIT} (import "wasi_snapshot_preview1" "path_rename" (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
        (data (i32.const 8) "{old}{new}")"#
    );
    let (at, length) = (8 + old.len(), new.len());
    let rename = format!(
        "(call $rename (i32.const 3) (i32.const 8) (i32.const {}) (i32.const 3) (i32.const {at}) (i32.const {length}))",
        old.len()
    );
    preview1(&declarations, &format!("(call $exit (i32.ne (i32.const 0) {rename}))"))
}

/// Needs two pages of memory to start, and nothing else.
pub(crate) fn large() -> String {
    r#"(component
      (core module $m (memory 2) (func (export "run") (result i32) i32.const 0))
      (core instance $m (instantiate $m))
      (func $run (result (result)) (canon lift (core func $m "run")))
      (instance $run (export "run" (func $run)))
      (export "wasi:cli/run@0.2.6" (instance $run)))"#
        .to_owned()
}

/// A component whose `wasi:cli/run` does what `body` says: one function imported as `$f`, and the result 0 or 1 on the stack.
pub(crate) fn command(import: &Import<'_>, body: &str) -> String {
    let Import { outer, interface, prelude, function, ty, options, core } = import;
    format!(
        r#"(component
          {outer}
          (import "{interface}" (instance $i {prelude} (export "{function}" (func {ty}))))
          (core module $memory (memory (export "memory") 400))
          (core instance $memory (instantiate $memory))
          (alias core export $memory "memory" (core memory $mem))
          (core func $f (canon lower (func $i "{function}") {options}))
          (core module $m
            (import "memory" "memory" (memory 400))
            (import "host" "f" (func $f {core}))
            (func (export "run") (result i32) {body}))
          (core instance $m (instantiate $m
            (with "memory" (instance $memory))
            (with "host" (instance (export "f" (func $f))))))
          (func $run (result (result)) (canon lift (core func $m "run")))
          (instance $run (export "run" (func $run)))
          (export "wasi:cli/run@0.2.6" (instance $run)))"#
    )
}

/// A function that a guest imports.
#[derive(Default)]
pub(crate) struct Import<'a> {
    /// What comes before it: resources that it takes from another interface.
    pub(crate) outer: &'a str,
    pub(crate) interface: &'a str,
    /// Types of the interface that come before the function.
    pub(crate) prelude: &'a str,
    pub(crate) function: &'a str,
    pub(crate) ty: &'a str,
    /// How it is lowered.
    pub(crate) options: &'a str,
    /// Its core type.
    pub(crate) core: &'a str,
}

/// Asks again and again whether 50 ms are over, and never waits.
pub(crate) fn looks_at_a_clock() -> String {
    r#"(component
      (import "wasi:io/poll@0.2.6" (instance $poll
        (export "pollable" (type $p (sub resource)))
        (export "[method]pollable.ready" (func (param "self" (borrow $p)) (result bool)))))
      (alias export $poll "pollable" (type $pollable))
      (import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock
        (export "pollable" (type $p (eq $pollable)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
      (core func $ready (canon lower (func $poll "[method]pollable.ready")))
      (core func $subscribe (canon lower (func $clock "subscribe-duration")))
      (core module $m
        (import "host" "ready" (func $ready (param i32) (result i32)))
        (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
        (func (export "run") (result i32) (local $timer i32)
          (local.set $timer (call $subscribe (i64.const 50000000)))
          (loop $again (br_if $again (i32.eqz (call $ready (local.get $timer)))))
          i32.const 0))
      (core instance $m (instantiate $m (with "host" (instance
        (export "ready" (func $ready)) (export "subscribe" (func $subscribe))))))
      (func $run (result (result)) (canon lift (core func $m "run")))
      (instance $run (export "run" (func $run)))
      (export "wasi:cli/run@0.2.6" (instance $run)))"#
        .to_owned()
}

/// Ends with this exit status.
pub(crate) fn exits_with_code(status: u8) -> String {
    let import = Import {
        interface: "wasi:cli/exit@0.2.12",
        function: "exit-with-code",
        ty: r#"(param "status-code" u8)"#,
        core: "(param i32)",
        ..Default::default()
    };
    command(&import, &format!("(call $f (i32.const {status})) unreachable"))
}

/// The cases of `error-code` in aiohost:aio.
const CODES: [&str; 34] = [
    "access",
    "already",
    "bad-descriptor",
    "busy",
    "canceled",
    "cross-device",
    "deadlock",
    "quota",
    "exist",
    "file-too-large",
    "illegal-byte-sequence",
    "invalid",
    "io",
    "is-directory",
    "loop",
    "too-many-links",
    "name-too-long",
    "no-device",
    "no-entry",
    "no-lock",
    "insufficient-memory",
    "insufficient-space",
    "not-directory",
    "not-empty",
    "not-permitted",
    "overflow",
    "read-only",
    "invalid-seek",
    "timed-out",
    "text-file-busy",
    "too-many-open-files",
    "unsupported",
    "would-block",
    "other",
];

/// The type `error` of aiohost:aio, as an interface has it that uses it.
fn error_type() -> String {
    let codes: Vec<String> = CODES.iter().map(|code| format!(r#""{code}""#)).collect();
    format!(
        r#"(type $code' (enum {})) (export "error-code" (type $code (eq $code')))
           (type $error' (record (field "code" $code) (field "errno" u32))) (export "error" (type $error (eq $error')))"#,
        codes.join(" ")
    )
}

/// Does a `nop` on the face `blocking` of this version, `count` times, and says whether all went well.
pub(crate) fn nops(version: &str, function: &str, count: u32) -> String {
    let import = Import {
        interface: &format!("aiohost:aio/blocking@{version}"),
        prelude: &error_type(),
        function,
        ty: "(result (result (error $error)))",
        options: "(memory $mem)",
        core: "(param i32)",
        ..Default::default()
    };
    let body = format!(
        "(local $n i32) (local $failed i32)
         (loop $again
           (call $f (i32.const 0))
           (local.set $failed (i32.or (local.get $failed) (i32.load8_u (i32.const 0))))
           (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (br_if $again (i32.lt_u (local.get $n) (i32.const {count}))))
         (local.get $failed)"
    );
    command(&import, &body)
}

/// Imports a function of ours with another type than it has.
pub(crate) fn wrong_type() -> String {
    let import = Import {
        interface: "aiohost:aio/blocking@0.1.0",
        function: "nop",
        ty: "(result u32)",
        core: "(result i32)",
        ..Default::default()
    };
    command(&import, "(call $f)")
}

/// Imports a function that nobody has.
pub(crate) fn imports(interface: &str, function: &str) -> String {
    let import = Import { interface, function, ..Default::default() };
    command(&import, "(call $f) i32.const 0")
}

/// Hands the host a path of 20 MiB.
pub(crate) fn hands_over_too_much() -> String {
    let import = Import {
        outer: r#"(import "aiohost:aio/types@0.1.0" (instance $types (export "dir" (type (sub resource)))))
            (alias export $types "dir" (type $dir))"#,
        interface: "aiohost:aio/blocking@0.1.0",
        prelude: &format!(r#"{} (export "dir" (type $d (eq $dir)))"#, error_type()),
        function: "unlink",
        ty: r#"(param "at" (option (borrow $d))) (param "path" string) (result (result (error $error)))"#,
        options: "(memory $mem)",
        core: "(param i32 i32 i32 i32 i32)",
    };
    command(&import, "(call $f (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 20971520) (i32.const 0)) i32.const 0")
}

/// Submits requests and keeps their handles.
pub(crate) fn keeps_requests() -> String {
    let import = Import {
        outer: r#"(import "aiohost:aio/types@0.1.0" (instance $types (export "request" (type (sub resource)))))
            (alias export $types "request" (type $request))"#,
        interface: "aiohost:aio/submit@0.1.0",
        prelude: r#"(export "request" (type $r (eq $request)))"#,
        function: "nop",
        ty: "(result (own $r))",
        core: "(result i32)",
        ..Default::default()
    };
    command(&import, "(loop $again (drop (call $f)) (br $again)) unreachable")
}

/// `wasi:cli/run` of WASI 0.3, lifted as a plain core function that gives success (0) or failure (1).
pub(crate) fn async_command(outcome: u8) -> String {
    format!(
        r#"(component
          (core module $m (func (export "run") (result i32) i32.const {outcome}))
          (core instance $m (instantiate $m))
          (func $run async (result (result)) (canon lift (core func $m "run")))
          (instance $run (export "run" (func $run)))
          (export "wasi:cli/run@0.3.0" (instance $run)))"#
    )
}

/// Functions to be called: `add`, and `div` in an interface, which traps when it divides by zero.
pub(crate) fn calculator() -> String {
    r#"(component
      (core module $m
        (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
        (func (export "div") (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1))))
      (core instance $m (instantiate $m))
      (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $m "add")))
      (func $div (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $m "div")))
      (instance $sums (export "div" (func $div)))
      (export "example:calculator/sums@1.2.0" (instance $sums)))"#
        .to_owned()
}
