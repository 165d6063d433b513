//! Whom the texts of help speak to: a program is told of functions, and a user of the command of its options.

use std::collections::BTreeSet;
use std::path::Path;

use super::{assert_none, code, root, texts};

/// The commands of the command line.
const COMMANDS: [&str; 11] =
    ["bench", "compile", "completions", "componentize", "help", "inspect", "man", "new", "oci", "run", "wit"];

/// Texts of help that may break the rule below: the file, and what stands in the text or is called for it.
const HELP_OF_ITS_OWN_KIND: [(&str, &str); 8] = [
    // It is how the command takes a directory.
    ("granted.rs", "HOST::GUEST"),
    // The command never comes there: it gives its host no engine and no functions, and calls no guest twice or by types.
    ("plugin/host.rs", "HostBuilder::compile_in"),
    ("plugin/machine.rs", "Config::concurrency_support"),
    ("plugin/machine.rs", "HostBuilder::linker"),
    ("plugin/guest.rs", "Guest::invoke, or make a component of it"),
    ("plugin/guest.rs", "Plugin::guest"),
    // The texts are looked at elsewhere: in `prepare.rs`, and in the process that compiles.
    ("plugin/load.rs", "rebuild()"),
    ("plugin/compile_wire.rs", ""),
];

/// What stands in code up to the bracket that closes a call, in its arguments, and what is behind it.
fn arguments(code: &str) -> (Vec<&str>, &str) {
    let (mut depth, mut start, mut found) = (0_usize, 0, Vec::new());
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in code.char_indices() {
        if is_quoted {
            is_quoted = c != '"' || is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            continue;
        }
        match c {
            '"' => is_quoted = true,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ',' | ')' if depth == 0 => {
                found.push(&code[start..at]);
                start = at + 1;
                if c == ')' {
                    break;
                }
            }
            _ => {}
        }
    }
    found.retain(|argument| !argument.trim().is_empty());
    (found, &code[start..])
}

/// The arguments of each call of a function, and the code with a text in place of each call.
fn take_calls(code: &str, function: &str) -> (Vec<Vec<String>>, String) {
    let (mut calls, mut rest, mut code) = (Vec::new(), String::new(), code);
    while let Some((before, behind)) = code.split_once(function) {
        let (arguments, behind) = arguments(behind);
        calls.push(arguments.into_iter().map(str::to_owned).collect());
        rest.push_str(before);
        rest.push_str("\"looked at by itself\"");
        code = behind;
    }
    rest.push_str(code);
    (calls, rest)
}

/// What stands between quotes in code, and the rest of it.
fn quotes(code: &str) -> (String, String) {
    let (mut quoted, mut other) = (String::new(), String::new());
    let (mut is_quoted, mut is_escaped) = (false, false);
    for c in code.chars() {
        if c == '"' && !is_escaped {
            is_quoted = !is_quoted;
            quoted.push('\n');
            continue;
        }
        is_escaped = is_quoted && c == '\\' && !is_escaped;
        if is_quoted { quoted.push(c) } else { other.push(c) }
    }
    (quoted, other)
}

/// Where a file says what a name is: a constant, a variable or a function.
fn definitions<'a>(code: &'a str, name: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for start in [format!("const {name}:"), format!("let {name} ="), format!("let Some({name}) =")] {
        found.extend(code.match_indices(start.as_str()).filter_map(|(at, _)| code[at..].split(";\n").next()));
    }
    for (at, _) in code.match_indices(format!("fn {name}(").as_str()) {
        let line = &code[code[..at].rfind('\n').map_or(0, |end| end + 1)..];
        let end = format!("\n{}}}", &line[..line.len() - line.trim_start().len()]);
        found.extend(code[at..].split(end.as_str()).next());
    }
    found
}

/// The texts that an argument is made of: its own, and those of what it names in the same file.
fn said(code: &str, argument: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_constant =
        |word: &&str| word.contains(|c: char| c.is_ascii_uppercase()) && !word.contains(|c: char| c.is_lowercase());
    let (mut said, mut seen, mut next) = (String::new(), BTreeSet::new(), vec![argument]);
    while let Some(piece) = next.pop() {
        let (quoted, other) = quotes(piece);
        let captured = quoted.split(|c: char| !is_part(c)).filter(is_constant);
        for name in other.split(|c: char| !is_part(c)).chain(captured) {
            if !name.is_empty() && seen.insert(name.to_owned()) {
                next.extend(definitions(code, name));
            }
        }
        said.push_str(&quoted);
    }
    said
}

fn speaks_of_the_command(text: &str) -> bool {
    let has_option = text.match_indices("--").any(|(at, _)| text[at + 2..].starts_with(|c: char| c.is_ascii_lowercase()));
    has_option || COMMANDS.iter().any(|command| text.contains(&format!("aiohost {command}")))
}

fn speaks_of_functions(text: &str) -> bool {
    text.contains("::")
}

#[test]
fn help_tells_a_program_of_functions_and_a_user_of_the_command_of_options() {
    let source = root().join("host/src");
    let mut problems = Vec::new();
    let mut count = 0;
    for (path, text) in texts("rs") {
        let Ok(file) = path.strip_prefix(&source) else { continue };
        // The command has texts of its own, and `problem.rs` has the functions that are looked for.
        if file.starts_with("cli") || file == Path::new("problem.rs") {
            continue;
        }
        let lines: Vec<&str> = code(&text).lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let mut rest = lines.join("\n").replace("'\"'", "' '");
        let (mut to_program, mut to_command) = (Vec::new(), Vec::new());
        for function in ["help_for(", "Remedy::of("] {
            let (calls, others) = take_calls(&rest, function);
            for call in calls {
                let [program, command] = <[String; 2]>::try_from(call).expect("a text for each of the two");
                to_program.push(program);
                to_command.push(command);
            }
            rest = others;
        }
        // What has one text is for both.
        let (calls, rest) = take_calls(&rest, "help_with(");
        to_program.extend(calls.iter().flatten().cloned());
        to_command.extend(calls.into_iter().flatten());
        let to_program = to_program.iter().map(|argument| (argument, speaks_of_the_command as fn(&str) -> bool));
        let to_command = to_command.iter().map(|argument| (argument, speaks_of_functions as fn(&str) -> bool));
        for (argument, is_wrong) in to_program.chain(to_command) {
            count += 1;
            let text = said(&rest, argument);
            let has = |words: &str| text.contains(words) || argument.contains(words);
            let is_excused = HELP_OF_ITS_OWN_KIND.iter().any(|(other, words)| file == Path::new(other) && has(words));
            if (text.trim().is_empty() || is_wrong(&text)) && !is_excused {
                problems.push(format!("{}: no text, or one for the other reader: {}", path.display(), argument.trim()));
            }
        }
    }
    assert!(count > 100, "only {count} texts were found");
    assert_none(problems);
}
