//! `aiohost new`: a project for a plugin.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use aiohost::plugin::WIT;
use anyhow::Context as _;
use clap::Args;

use super::exit::Remedied;
use super::templates::{TEMPLATES, Template};

/// Start a plugin: a project that builds and runs as it stands
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The language to write it in
    #[arg(value_name = "LANGUAGE")]
    language: String,
    /// What it is called, and the folder that is made for it: small letters, digits and hyphens
    #[arg(value_name = "NAME")]
    name: String,
}

const EXAMPLES: &str = "\
Languages:
  rust        `std`-like files and directories, and many requests in flight
  rust-async  a component of WASI 0.3: every request is an `async fn`
  c           the requests by their names in the manual of IO::AIO
  cpp         the same header, in C++20
  zig         bindings written by hand, `aiohost componentize` for the rest
  python      a component of WASI 0.3: every request is a coroutine for asyncio
  javascript  the engine QuickJS, many requests in flight
  go          `wit-bindgen go` and `aiohost componentize`

The plugin lists the directory that it is granted. Its README.md tells what has to be installed, and the three commands to build, \
run and inspect it. What it needs of aiohost is in the folder, as text: the WIT, and for Rust, C and C++ a small library.

Examples:
  aiohost new rust my-plugin
  cd my-plugin
  cargo build --release --target wasm32-wasip2
  aiohost run target/wasm32-wasip2/release/my-plugin.wasm --dir .";

/// What the plugin is called in the templates. Its other form stands where a hyphen may not.
const PLACEHOLDER: &str = "my-plugin";
const PLACEHOLDER_SNAKE: &str = "my_plugin";

/// In the repository the templates and the crate for Rust lie beside what they use; a project has it inside.
const INSIDE: [(&str, &str); 2] =
    [("\"../../rust-sdk\"", "\"aiohost-guest\""), ("path: \"../../wit\"", "path: \"../wit/deps/aiohost-aio\"")];

/// More does not fit the line of an error, nor into some file systems with what the tools add to it.
const NAME_BYTES_MAX: usize = 64;

pub(super) fn new(options: &Options) -> anyhow::Result<()> {
    let template = find(&options.language)?;
    check_name(&options.name)?;
    let folder = Path::new(&options.name);
    fs::create_dir(folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => refused(
            format!("{} exists already", folder.display()),
            "choose another name, or remove it first: nothing in it was changed",
        ),
        _ => anyhow::Error::new(error).context(format!("cannot make the folder {}", folder.display())),
    })?;
    let wit = WIT.iter().map(|(name, text)| (format!("wit/deps/aiohost-aio/{name}"), *text));
    let files = template.files.iter().flat_map(|files| *files).map(|(name, text)| ((*name).to_owned(), *text));
    for (name, text) in files.chain(wit) {
        write(&folder.join(name), &fill_in(text, &options.name))?;
    }
    println!("{} is a plugin in {}. Its README.md has what to install, and:\n", folder.display(), template.title);
    println!("  cd {}\n  {}", folder.display(), template.build);
    let file = fill_in(template.plugin, &options.name);
    println!("  aiohost run {file} --dir .\n  aiohost inspect {file}");
    Ok(())
}

fn find(language: &str) -> anyhow::Result<&'static Template> {
    if let Some(template) = TEMPLATES.iter().find(|template| template.language == language) {
        return Ok(template);
    }
    let wanted = language.to_ascii_lowercase();
    let meant = TEMPLATES.iter().find(|template| template.language == wanted || template.also.contains(&wanted.as_str()));
    let languages: Vec<&str> = TEMPLATES.iter().map(|template| template.language).collect();
    let all = format!("the languages are {}", languages.join(", "));
    let help = match meant {
        Some(meant) => format!("did you mean `{}`? {all}", meant.language),
        None => format!("{all}; for another one, `aiohost wit` writes the WIT that its bindings generator needs"),
    };
    Err(refused(format!("there is no template for `{language}`"), help))
}

/// A name that Cargo, Go, npm, make and every file system take.
fn check_name(name: &str) -> anyhow::Result<()> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let is_good = name.starts_with(|first: char| first.is_ascii_lowercase()) && name.split('-').all(is_word);
    if is_good && name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    let rule = "a name is small letters and digits, with a hyphen between words, and starts with a letter";
    let better = improved(name);
    let help = if better.is_empty() { format!("{rule}, as in my-plugin") } else { format!("{rule}: {better}") };
    Err(refused(format!("a plugin cannot be called `{name}`"), help))
}

/// What of a name can be used, in a form that can be.
fn improved(name: &str) -> String {
    let name = name.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default().to_ascii_lowercase();
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join("-");
    let start = joined.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    start[..start.len().min(NAME_BYTES_MAX)].trim_end_matches('-').to_owned()
}

fn fill_in(text: &str, name: &str) -> String {
    let named = text.replace(PLACEHOLDER, name).replace(PLACEHOLDER_SNAKE, &name.replace('-', "_"));
    INSIDE.iter().fold(named, |text, (outside, inside)| text.replace(outside, inside))
}

fn write(path: &PathBuf, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn refused(what: impl Into<String>, help: impl Into<String>) -> anyhow::Error {
    Remedied { what: what.into(), help: help.into() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "my-plugin", "x86", "list-2-files"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "A", "a_b", "2a", "a.b", "../a", "a/b", "é", &"a".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_name_becomes_a_good_one() {
        assert_eq!(improved("My_Plugin 2"), "my-plugin-2");
        assert_eq!(improved("plugins/Songs/"), "songs");
        assert_eq!(improved("2-files"), "files");
        assert_eq!(improved("é"), "");
    }

    #[test]
    fn what_a_template_has_outside_a_project_has_inside() {
        for (_, text) in TEMPLATES.iter().flat_map(|template| template.files.iter().flat_map(|files| *files)) {
            assert!(!fill_in(text, "songs").contains("\"../../"), "{text}");
        }
    }
}
