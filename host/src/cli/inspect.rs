//! `aiohost inspect`: what a plugin needs and what it offers, and what of it is missing here.

use std::path::{Path, PathBuf};

use aiohost::plugin::{
    CompiledCode, Description, EngineKind, Format, Item, ItemKind, Unsupported, compiled_code, describe, describe_bytes,
};
use aiohost::{Host, shown};
use clap::Args;
use serde_json::{Value, json};

use super::images::{self, Keep};
use super::streams;

/// Show what a plugin imports and exports, and what of it is missing here
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The plugin; or one in an image, oci-layout:DIR or docker://HOST/REPOSITORY, as for run
    #[arg(value_name = "PLUGIN")]
    plugin: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Load compiled code, to see what is in it: only if you would let whoever made it run a program
    #[arg(long)]
    trust: bool,
}

const EXAMPLES: &str = "\
The plugin is looked at, not run. A core module that imports WASI preview 1, or nothing, is shown as it is; another one as the \
component it becomes. Of compiled code it is told who made it \
and for what; what it imports is told by the .wasm that it was compiled from.

Examples:
  aiohost inspect plugin.wasm
  aiohost inspect plugin.wasm --json | jq '.missing'";

pub(super) fn inspect(options: &Options) -> anyhow::Result<()> {
    if images::is_meant_by(&options.plugin) {
        // Compiled code is not taken from there, whoever is trusted.
        let plugin = images::read(&options.plugin, None, Keep::Fetched)?;
        return print(&describe_bytes(&plugin.name, &plugin.content)?, options.json);
    }
    match compiled_code(&options.plugin)? {
        Some(code) if !options.trust && options.json => print_json(&code_as_json(&code)),
        Some(code) if !options.trust => streams::print(&code_as_text(&code)),
        Some(_) => print(&trusted(&options.plugin)?, options.json),
        None => print(&describe(&options.plugin)?, options.json),
    }
}

fn print(description: &Description, is_json: bool) -> anyhow::Result<()> {
    if is_json { print_json(&as_json(description)) } else { streams::print(&as_text(description)) }
}

fn print_json(value: &Value) -> anyhow::Result<()> {
    streams::print(&shown::json(&format!("{value:#}\n")))
}

/// What compiled code says of itself once it is loaded.
fn trusted(path: &Path) -> anyhow::Result<Description> {
    let load = |epochs: bool| {
        let host = Host::builder().epoch_interruption(epochs).build()?;
        // SAFETY: whoever gives `--trust` asks for native code to be loaded; the help says what that means.
        unsafe { host.load_trusted(path) }
    };
    // Whether it was made for the command or for an application.
    let plugin = load(false).or_else(|problem| load(true).map_err(|_| problem))?;
    Ok(plugin.description().clone())
}

fn code_as_text(code: &CompiledCode) -> String {
    let of = if code.is_component { "a component" } else { "a core module" };
    let version = code.wasmtime.as_ref().map_or_else(|| "of an unknown version".into(), |version| shown::name(version));
    let seal = if code.is_sealed { ", whole as `aiohost compile` wrote it" } else { ", not by `aiohost compile`, or damaged" };
    format!(
        "kind     compiled code of {of}\nmade by  wasmtime {version}{seal}\nmachine  {}\n\n{NOT_LOADED}\n",
        code.machine.unwrap_or("unknown")
    )
}

/// The same for a program.
fn code_as_json(code: &CompiledCode) -> Value {
    json!({
        "kind": format_name(Format::Precompiled),
        "of": if code.is_component { "component" } else { "core module" },
        "wasmtime": code.wasmtime,
        "machine": code.machine,
        "sealed": code.is_sealed,
    })
}

const NOT_LOADED: &str = "\
What it imports and exports cannot be told without loading it, and it is native code, which no sandbox holds. Inspect the
.wasm that it was compiled from; or, if you trust whoever made it, add --trust.";

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
    line("run", world.command().map_or("it is no command; call a function with --invoke", |command| command.interface));
    if wants_sockets(description) {
        line("sockets", "denied to every plugin: an attempt is an error, which the plugin is told");
    }
    text.push_str(&items("imports", &world.imports));
    text.push_str(&items("exports", &world.exports));
    let missing = world.missing();
    if missing.is_empty() && description.unsupported.is_empty() {
        text.push_str("\nmissing here: nothing\n");
        return text;
    }
    text.push_str("\nmissing here:\n");
    for unsupported in &description.unsupported {
        text.push_str(&format!("  {}: {}\n", feature(unsupported), shown::text(&unsupported.why)));
    }
    for missing in missing {
        let closest = missing.closest.map_or_else(String::new, |closest| format!("; the closest is {}", shown::name(&closest)));
        text.push_str(&format!("  {}: {}{closest}\n", shown::name(&missing.import), shown::text(&missing.why)));
    }
    text
}

/// How a feature stands among the imports that are missing.
fn feature(unsupported: &Unsupported) -> String {
    format!("WebAssembly feature {}", unsupported.feature)
}

fn or_none(values: &[String]) -> String {
    let values: Vec<_> = values.iter().map(|value| shown::name(value)).collect();
    if values.is_empty() { "none".to_owned() } else { values.join(" ") }
}

fn items(title: &str, items: &[Item]) -> String {
    let mut text = format!("\n{title}:{}\n", if items.is_empty() { " nothing" } else { "" });
    for item in items {
        let core = if let ItemKind::Core(ty) = &item.kind { format!(": {}", shown::text(ty)) } else { String::new() };
        text.push_str(&format!("  {}{core}{}\n", shown::name(&item.name), kind_suffix(item)));
        for function in item.functions() {
            let is_async = if function.is_async { " (async)" } else { "" };
            text.push_str(&format!("    {}{is_async}\n", shown::name(&function.name)));
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
    let versions = [(1, "preview 1"), (2, "0.2"), (3, "0.3")].into_iter();
    versions.filter(|(minor, _)| description.world.uses_wasi(*minor)).map(|(_, version)| version.to_owned()).collect()
}

/// Whether the plugin imports functions for sockets. They are there, and deny every one.
fn wants_sockets(description: &Description) -> bool {
    description.world.imports.iter().any(|import| {
        let is_for_one = |name: &str| import.name.starts_with("wasi:sockets/") || name.starts_with("sock_");
        import.functions().iter().any(|function| is_for_one(&function.name))
    })
}

/// The interfaces of `aiohost:aio` that the plugin uses.
fn faces(description: &Description) -> Vec<String> {
    let names = description.world.imports.iter().filter_map(|import| import.name.strip_prefix("aiohost:aio/"));
    names.map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect()
}

fn as_json(description: &Description) -> Value {
    let world = &description.world;
    let as_missing = |import: &str, why: &str, closest| json!({ "import": import, "why": why, "closest": closest });
    let features = description.unsupported.iter().map(|one| as_missing(&feature(one), &one.why, None));
    let imports = world.missing().into_iter().map(|one| as_missing(&one.import, &one.why, one.closest));
    let missing: Vec<Value> = features.chain(imports).collect();
    json!({
        "kind": format_name(description.format),
        "engine": if description.engine == EngineKind::Concurrent { "concurrent" } else { "plain" },
        "wasi": wasi_versions(description),
        "aiohost": faces(description),
        "run": world.command().map(|command| command.interface),
        "sockets": wants_sockets(description).then_some("denied"),
        "imports": world.imports.iter().map(item_as_json).collect::<Vec<_>>(),
        "exports": world.exports.iter().map(item_as_json).collect::<Vec<_>>(),
        "missing": missing,
    })
}

fn item_as_json(item: &Item) -> Value {
    let functions: Vec<Value> =
        item.functions().iter().map(|function| json!({ "name": function.name, "async": function.is_async })).collect();
    match &item.kind {
        ItemKind::Core(ty) => json!({ "name": item.name, "kind": "core", "type": ty }),
        ItemKind::Interface(_) => json!({ "name": item.name, "kind": "interface", "functions": functions }),
        ItemKind::Function { is_async } => json!({ "name": item.name, "kind": "function", "async": is_async }),
        ItemKind::Type => json!({ "name": item.name, "kind": "type" }),
        _ => json!({ "name": item.name, "kind": "other" }),
    }
}
