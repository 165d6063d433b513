//! `aiohost new`: a project for a plugin.

use std::path::Path;

use aiohost::plugin::WIT;
use clap::Args;

use super::output_folder::NewFolder;
use super::remedy::Remedied;
use super::templates::{TEMPLATES, Template};
use super::{plugin_name, streams};

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

pub(super) fn new(options: &Options) -> anyhow::Result<()> {
    let template = find(&options.language)?;
    plugin_name::check(&options.name, template.language)?;
    let folder = NewFolder::begin(Path::new(&options.name))?;
    let wit = WIT.iter().map(|(name, text)| (format!("wit/deps/aiohost-aio/{name}"), *text));
    let files = template.files.iter().flat_map(|files| *files).map(|(name, text)| ((*name).to_owned(), *text));
    for (name, text) in files.chain(wit) {
        folder.write(&name, fill_in(text, &options.name).as_bytes())?;
    }
    folder.arrive()?;
    let file = fill_in(template.plugin, &options.name);
    streams::print(&format!(
        "{name} is a plugin in {language}. Its README.md has what to install, and:\n\n  cd {name}\n  {build}\n  \
         aiohost run {file} --dir .\n  aiohost inspect {file}\n",
        name = options.name,
        language = template.title,
        build = template.build,
    ))
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

fn fill_in(text: &str, name: &str) -> String {
    let named = text.replace(PLACEHOLDER, name).replace(PLACEHOLDER_SNAKE, &name.replace('-', "_"));
    INSIDE.iter().fold(named, |text, (outside, inside)| text.replace(outside, inside))
}

fn refused(what: impl Into<String>, help: impl Into<String>) -> anyhow::Error {
    Remedied { what: what.into(), help: help.into() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_template_has_outside_a_project_has_inside() {
        for (_, text) in TEMPLATES.iter().flat_map(|template| template.files.iter().flat_map(|files| *files)) {
            assert!(!fill_in(text, "songs").contains("\"../../"), "{text}");
        }
    }
}
