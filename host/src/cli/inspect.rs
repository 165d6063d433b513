//! `aiohost inspect`: what a plugin needs and what it offers, and what of it is missing here.

use std::io::{Write, stdout};
use std::path::PathBuf;

use aiohost::Host;
use aiohost::plugin::{Description, EngineKind, Format, Item, ItemKind, describe};
use clap::Args;
use serde_json::{Value, json};

use super::load::{self, Note};

/// Show what a plugin imports and exports, and what of it is missing here
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The plugin
    #[arg(value_name = "PLUGIN")]
    plugin: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
The plugin is looked at, not run. A core module is shown as the component it becomes.

Examples:
  aiohost inspect plugin.wasm
  aiohost inspect plugin.wasm --json | jq '.missing'";

pub(super) fn inspect(options: &Options) -> anyhow::Result<()> {
    let description = if options.plugin.extension().is_some_and(|extension| extension == "cwasm") {
        let host = Host::builder().build()?;
        load::load(&host, &options.plugin, Note::Silent)?.description().clone()
    } else {
        describe(&options.plugin)?
    };
    let text = if options.json { format!("{:#}\n", as_json(&description)) } else { as_text(&description) };
    // A reader that goes away, as `head` does, has seen enough.
    let _ = stdout().write_all(text.as_bytes());
    Ok(())
}

fn as_text(description: &Description) -> String {
    let world = &description.world;
    let mut text = String::new();
    let mut line = |label: &str, value: &str| text.push_str(&format!("{label:<9}{value}\n"));
    line("kind", format_name(description.format));
    line(
        "engine",
        match description.engine {
            EngineKind::Concurrent => "concurrent: it uses the component model's async",
            _ => "plain: nothing in it is asynchronous",
        },
    );
    line("wasi", &or_none(&wasi_versions(description)));
    line("aiohost", &or_none(&faces(description)));
    line(
        "run",
        world.command().map_or("it has no wasi:cli/run export; call a function with --invoke", |command| command.interface),
    );
    text.push_str(&items("imports", &world.imports));
    text.push_str(&items("exports", &world.exports));
    let missing = world.missing();
    if missing.is_empty() {
        text.push_str("\nmissing here: nothing\n");
        return text;
    }
    text.push_str("\nmissing here:\n");
    for missing in missing {
        let closest = missing.closest.map_or_else(String::new, |closest| format!("; the closest is {closest}"));
        text.push_str(&format!("  {}: {}{closest}\n", missing.import, missing.why));
    }
    text
}

fn or_none(values: &[String]) -> String {
    if values.is_empty() { "none".to_owned() } else { values.join(" ") }
}

fn items(title: &str, items: &[Item]) -> String {
    let mut text = format!("\n{title}:{}\n", if items.is_empty() { " nothing" } else { "" });
    for item in items {
        text.push_str(&format!("  {}{}\n", item.name, kind_suffix(item)));
        for function in item.functions() {
            text.push_str(&format!("    {}{}\n", function.name, if function.is_async { " (async)" } else { "" }));
        }
    }
    text
}

fn kind_suffix(item: &Item) -> &'static str {
    match item.kind {
        ItemKind::Function { is_async: true } => " (async function)",
        ItemKind::Function { is_async: false } => " (function)",
        ItemKind::Type => " (type)",
        ItemKind::Other => " (module or component)",
        _ => "",
    }
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Component => "component",
        Format::CoreModule => "core module",
        Format::Text => "text",
        Format::Precompiled => "compiled code",
        _ => "unknown",
    }
}

fn wasi_versions(description: &Description) -> Vec<String> {
    [2, 3].into_iter().filter(|minor| description.world.uses_wasi(*minor)).map(|minor| format!("0.{minor}")).collect()
}

/// The interfaces of `aiohost:aio` that the plugin uses.
fn faces(description: &Description) -> Vec<String> {
    let names = description.world.imports.iter().filter_map(|import| import.name.strip_prefix("aiohost:aio/"));
    names.map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect()
}

fn as_json(description: &Description) -> Value {
    let world = &description.world;
    let missing: Vec<Value> = world
        .missing()
        .into_iter()
        .map(|missing| json!({ "import": missing.import, "why": missing.why, "closest": missing.closest }))
        .collect();
    json!({
        "kind": format_name(description.format),
        "engine": if description.engine == EngineKind::Concurrent { "concurrent" } else { "plain" },
        "wasi": wasi_versions(description),
        "aiohost": faces(description),
        "run": world.command().map(|command| command.interface),
        "imports": world.imports.iter().map(item_as_json).collect::<Vec<_>>(),
        "exports": world.exports.iter().map(item_as_json).collect::<Vec<_>>(),
        "missing": missing,
    })
}

fn item_as_json(item: &Item) -> Value {
    let functions: Vec<Value> =
        item.functions().iter().map(|function| json!({ "name": function.name, "async": function.is_async })).collect();
    match item.kind {
        ItemKind::Interface(_) => json!({ "name": item.name, "kind": "interface", "functions": functions }),
        ItemKind::Function { is_async } => json!({ "name": item.name, "kind": "function", "async": is_async }),
        ItemKind::Type => json!({ "name": item.name, "kind": "type" }),
        _ => json!({ "name": item.name, "kind": "other" }),
    }
}
