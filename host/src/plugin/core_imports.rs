//! What a core module imports: whether it runs as it is, and why it cannot be made a component if it has to be.

use wasmparser::{Parser, Payload};

use super::memory;
use crate::problem::{Problem, ProblemKind, Remedy};
use crate::shown;
use crate::wasi::preview1;

/// What a core module says of itself.
#[derive(Default)]
struct Module {
    /// The modules and names of what it imports, in their order.
    imports: Vec<(String, String)>,
    /// Whether it tells the types of what it imports and exports, as bindings of wit-bindgen do.
    has_component_type: bool,
}

/// Whether a module runs as it is: it imports WASI preview 1, or nothing, and does not say that it is made for a component.
pub(super) fn runs_as_it_is(module: &[u8]) -> bool {
    Module::read(module)
        .is_ok_and(|module| !module.has_component_type && module.imports.iter().all(|(from, _)| from == preview1::MODULE))
}

/// The problem of a module that could not be made a component, for this reason.
pub(super) fn problem(name: &str, module: &[u8], error: anyhow::Error) -> Problem {
    // A module that cannot be read has another reason.
    let module = Module::read(module).unwrap_or_default();
    let what = format!("{name} is a core module that cannot be made a component");
    let Some((from, function)) = module.first_unknown() else {
        if error.is::<memory::OutOfReach>() {
            return Problem::new(ProblemKind::Format, what)
                .because(error)
                .help_with("build it so that its memory is exported: linkers do that unless they are told otherwise");
        }
        return Problem::new(ProblemKind::Format, what).because(error).help_with(
            "a core module may import WASI preview 1, and what its embedded `component-type` section names: build it with \
             wit-bindgen, or as a component",
        );
    };
    if from.contains(':') {
        let face = from.split_once("aiohost:aio/").map(|(_, rest)| rest.split('@').next().unwrap_or(rest));
        return Problem::new(ProblemKind::Format, what)
            .because_text(format!(
                "it imports `{}` of `{}`, and has no `component-type` section that tells the type of that function",
                shown::name(function),
                shown::name(from)
            ))
            .help_with(componentize(name, face));
    }
    Problem::new(ProblemKind::Format, what)
        .because_text(format!(
            "it imports `{}` from `{}`, which is neither WASI preview 1 nor an interface of WIT",
            shown::name(function),
            shown::name(from)
        ))
        .help_with(remedy(from))
}

/// What brings the types. The smallest world that has what is imported is enough.
fn componentize(name: &str, face: Option<&str>) -> Remedy {
    let world = match face {
        Some("blocking") => "blocking-guest",
        Some("requests" | "streams") => "async-guest",
        Some(_) => "submit-guest",
        None => {
            return Remedy::of(
                "tell plugin::componentize the world that it was built for, and where its WIT is",
                format!("{TELL_WORLD}: aiohost componentize {name} --wit wit --world my-plugin -o plugin.wasm"),
            );
        }
    };
    Remedy::of(
        format!("tell plugin::componentize the world that it was built for: `{world}`"),
        format!("{TELL_WORLD}: aiohost componentize {name} --world {world} -o plugin.wasm"),
    )
}

const TELL_WORLD: &str = "tell the world that it was built for";

/// What to do about imports that some toolchain makes for another host.
fn remedy(from: &str) -> Remedy {
    match from {
        "env" => {
            "a function that is declared and nowhere defined becomes such an import: link what defines it. With Emscripten, \
                  build with -sSTANDALONE_WASM; better, build for wasm32-wasip1 or wasm32-wasip2"
                .into()
        }
        "wasi_unstable" => "it is built for an early form of WASI: build it again with a newer toolchain".into(),
        "go" | "gojs" => Remedy::of(FOR_BROWSER_BY_GO, format!("{FOR_BROWSER_BY_GO}, as `aiohost new go` does")),
        _ if from.starts_with("__wbindgen") || from == "wbg" => {
            Remedy::of(FOR_BROWSER_BY_RUST, format!("{FOR_BROWSER_BY_RUST}, as `aiohost new rust` does"))
        }
        _ => Remedy::of(
            "a plugin imports WASI, and interfaces of WIT: build it for wasm32-wasip1 or wasm32-wasip2",
            "a plugin imports WASI, and interfaces of WIT: `aiohost new` starts one that does",
        ),
    }
}

const FOR_BROWSER_BY_GO: &str = "it is built for a browser: build it with GOOS=wasip1 GOARCH=wasm";
const FOR_BROWSER_BY_RUST: &str = "it is built for a browser, with wasm-bindgen: build it for wasm32-wasip2 without it";

impl Module {
    fn read(module: &[u8]) -> wasmparser::Result<Self> {
        let mut found = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        found.imports.push((import.module.to_owned(), import.name.to_owned()));
                    }
                }
                Payload::CustomSection(section) => found.has_component_type |= section.name().starts_with("component-type"),
                _ => {}
            }
        }
        Ok(found)
    }

    /// The first import that nothing provides, if that is the trouble.
    fn first_unknown(&self) -> Option<(&str, &str)> {
        let mut imports = self.imports.iter().map(|(from, function)| (from.as_str(), function.as_str()));
        imports.find(|(from, _)| match *from {
            preview1::MODULE => false,
            // What the component type does not name is for the encoder to tell.
            from => !(from.contains(':') && self.has_component_type) && from != "$root" && !from.starts_with('['),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_imports_preview_1_or_nothing_runs_as_it_is_unless_it_is_made_for_a_component() {
        let runs = |text: &str| runs_as_it_is(&wat::parse_str(text).expect("a valid test module"));
        assert!(runs("(module)"));
        assert!(runs(r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)) (@custom "producers" "") (memory 1))"#));
        assert!(!runs(r#"(module (@custom "component-type:guest" ""))"#));
        let and_more = |from: &str| {
            format!(r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)) (import "{from}" "nop" (func)))"#)
        };
        for from in ["env", "wasi_unstable", "aiohost:aio/blocking@0.1.0", "wasi_snapshot_preview2", "$root"] {
            assert!(!runs(&and_more(from)), "{from}");
        }
    }
}
