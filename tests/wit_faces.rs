//! `wit/blocking.wit` and `wit/submit.wit` are derived from `wit/requests.wit`: this test holds them to it, and
//! `UPDATE=1` writes them anew.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{env, fs};

/// What stands above `interface blocking`, in place of the first paragraphs of `requests.wit`.
const BLOCKING: &str = "\
package aiohost:aio@0.1.0;

/// Every request as a plain `func` that returns when the work is done: the guest is suspended meanwhile, and the host goes on
/// with other guests. Similar to Coro::AIO.
///
/// For any guest. One request of a guest is in flight at a time; `submit` has the same requests for many at a time.
///
/// This file is derived from `requests.wit`: edit that one, and run the test `wit_faces` with `UPDATE=1`.
///
";

/// The same for `interface submit`.
const SUBMIT: &str = "\
package aiohost:aio@0.1.0;

/// Every request as a plain `func` that returns a `request` at once. The work goes on while the guest does; `request.wait` and
/// `control.wait-any` wait for it. Similar to IO::AIO.
///
/// For any guest. An error, of an argument too, is the outcome of the request, never of the function here. A guest that has
/// as many requests in flight as it may have is suspended until one of them is done.
///
/// This file is derived from `requests.wit`: edit that one, and run the test `wit_faces` with `UPDATE=1`.
///
";

/// A file of `wit/`.
fn wit(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../wit").join(name)
}

/// The case of `types.outcome` that carries a result of type `ok`.
fn outcome(ok: &str) -> &str {
    match ok {
        "_" => "done",
        "u64" => "count",
        "list<u8>" => "data",
        "list<string>" => "names",
        "list<extent>" => "extents",
        "list<walk-entry>" => "walked",
        "string" => "text",
        named => named,
    }
}

/// The type `T` in a line that ends with `-> result<T, error>;`.
fn result_type(line: &str) -> Option<&str> {
    let (_, tail) = line.split_once("-> result<")?;
    tail.strip_suffix(", error>;")
}

/// The text of `requests.wit` from the paragraph on paths on, which all faces share.
fn shared(requests: &str) -> &str {
    let start = requests.find("/// **Paths.**").expect("requests.wit has a paragraph that starts with **Paths.**");
    &requests[start..]
}

fn derive_blocking(requests: &str) -> String {
    let body = shared(requests).replace("interface requests {", "interface blocking {").replace(": async func(", ": func(");
    format!("{BLOCKING}{body}")
}

fn derive_submit(requests: &str) -> String {
    let lines: Vec<&str> = shared(requests).lines().collect();
    let mut body = String::new();
    for (index, line) in lines.iter().enumerate() {
        let mut line = line.replace("interface requests {", "interface submit {");
        // What belongs to the documentation stands before the line that says since when there is such a request.
        if line.contains("@since") && lines.get(index + 1).is_some_and(|next| next.contains(": async func(")) {
            let ok = lines[index..].iter().find_map(|line| result_type(line)).expect("a request returns a result");
            body += &format!("  ///\n  /// The outcome is `{}`.\n", outcome(ok));
        }
        line = line.replace(": async func(", ": func(");
        if let Some(ok) = result_type(&line) {
            line = line.replace(&format!("result<{ok}, error>"), "request");
        }
        body += &line;
        body.push('\n');
    }
    format!("{SUBMIT}{}", with_used_types(&body))
}

/// Narrows the list of `use types` to what the signatures still name.
fn with_used_types(body: &str) -> String {
    let start = body.find("  use types.{").expect("requests.wit uses types");
    let end = start + body[start..].find("};").expect("the end of that list") + 2;
    let (list, code) = (&body[start..end], body[..start].lines().chain(body[end..].lines()));
    let code = code.filter(|line| !line.trim_start().starts_with("//"));
    let words: BTreeSet<&str> = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '-')).collect();
    let names = list["  use types.{".len()..list.len() - 2]
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .chain(["request"]);
    let kept: BTreeSet<&str> = names.filter(|name| words.contains(name)).collect();
    body.replace(list, &use_types(kept))
}

/// A `use types`, on as many lines as it needs.
fn use_types(names: BTreeSet<&str>) -> String {
    const WIDTH: usize = 128;
    let names: Vec<&str> = names.into_iter().collect();
    let one = format!("  use types.{{{}}};", names.join(", "));
    if one.len() <= WIDTH {
        return one;
    }
    let mut lines = vec![String::from("   ")];
    for name in names {
        let line = lines.last_mut().expect("there is a first line");
        if line.len() + name.len() + 2 > WIDTH {
            lines.push(format!("    {name},"));
        } else {
            *line += &format!(" {name},");
        }
    }
    format!("  use types.{{\n{}\n  }};", lines.join("\n"))
}

/// Compares a file with what it should be, or writes it.
fn hold(name: &str, expected: &str) {
    let path = wit(name);
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, expected).expect("the file can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "wit/{name} is not what requests.wit gives; run with UPDATE=1 to write it anew");
}

#[test]
fn blocking_is_derived_from_requests() {
    let requests = fs::read_to_string(wit("requests.wit")).expect("wit/requests.wit is there");
    hold("blocking.wit", &derive_blocking(&requests));
}

#[test]
fn submit_is_derived_from_requests() {
    let requests = fs::read_to_string(wit("requests.wit")).expect("wit/requests.wit is there");
    hold("submit.wit", &derive_submit(&requests));
}
