//! Whether WebAssembly is valid, and which features it uses that this host's engines do not have: known before it is compiled,
//! which takes a thousand times as long.

use wasmparser::{Parser, Payload, TypeRef, ValidPayload, Validator, WasmFeatures};

use super::machine::EngineKind;
use crate::problem::{Problem, ProblemKind};

/// A feature of WebAssembly that a plugin uses and this host does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Its name, such as `legacy-exceptions`.
    pub feature: String,
    /// What uses it, and where in the file.
    pub why: String,
}

/// Features that are told of one plugin. 4: each takes a look at all of it, and whoever builds it anew looks again.
const UNSUPPORTED_MAX: usize = 4;

/// A feature that wasmtime has and that is not switched on, for which wasmparser has no switch.
const SHARED_MEMORY: &str = "shared-memory";

/// What an engine takes, as wasmtime puts it together for our settings: a test compares the two.
fn features_of(engine: EngineKind) -> WasmFeatures {
    let features = WasmFeatures::WASM3.union(WasmFeatures::GC_TYPES).union(WasmFeatures::COMPONENT_MODEL);
    match engine {
        EngineKind::Plain => features,
        EngineKind::Concurrent => features.union(WasmFeatures::CM_ASYNC),
    }
}

/// The features that a module or a component uses and its engine does not have: the first few of them.
///
/// # Errors
///
/// It is not valid, whatever the features.
pub(super) fn unsupported(wasm: &[u8], engine: EngineKind) -> wasmparser::Result<Vec<Unsupported>> {
    let mut features = features_of(engine);
    let mut found = Vec::new();
    loop {
        let error = match validate(wasm, features) {
            Ok(shared_memory) => {
                let why = shared_memory.map(|offset| format!("a memory is shared between threads (at offset {offset:#x})"));
                found.extend(why.map(|why| Unsupported { feature: SHARED_MEMORY.to_owned(), why }));
                return Ok(found);
            }
            Err(error) => error,
        };
        let missing = error.missing_wasm_feature();
        let Some(missing) = missing.filter(|missing| !features.contains(*missing)) else { return Err(error) };
        found.push(Unsupported { feature: name(missing), why: error.to_string() });
        if found.len() == UNSUPPORTED_MAX {
            return Ok(found);
        }
        features |= missing;
    }
}

/// Validates all of it, and gives the place of the first memory that is shared.
fn validate(wasm: &[u8], features: WasmFeatures) -> wasmparser::Result<Option<usize>> {
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut shared_memory = None;
    let mut allocations = wasmparser::FuncValidatorAllocations::default();
    for payload in parser.parse_all(wasm) {
        let payload = payload?;
        match validator.payload(&payload)? {
            ValidPayload::Func(function, body) => {
                let mut function = function.into_validator(allocations);
                function.validate(&body)?;
                allocations = function.into_allocations();
            }
            ValidPayload::Ok | ValidPayload::Parser(_) | ValidPayload::End(_) => {}
        }
        if shared_memory.is_none() {
            shared_memory = shared_memory_in(&payload)?;
        }
    }
    Ok(shared_memory)
}

/// Where this part has a memory that is shared, if it has one.
fn shared_memory_in(payload: &Payload<'_>) -> wasmparser::Result<Option<usize>> {
    match payload {
        Payload::MemorySection(section) => {
            for memory in section.clone().into_iter_with_offsets() {
                let (offset, memory) = memory?;
                if memory.shared {
                    return Ok(Some(offset));
                }
            }
        }
        Payload::ImportSection(section) => {
            for import in section.clone().into_imports_with_offsets() {
                let (offset, import) = import?;
                if matches!(import.ty, TypeRef::Memory(memory) if memory.shared) {
                    return Ok(Some(offset));
                }
            }
        }
        _ => {}
    }
    Ok(None)
}

/// A feature's name as its proposal is written.
fn name(feature: WasmFeatures) -> String {
    let name = feature.iter_names().next().map_or("unknown", |(name, _)| name);
    name.to_ascii_lowercase().replace('_', "-")
}

/// The problem of a plugin that uses such features.
pub(super) fn problem(name: &str, unsupported: &[Unsupported]) -> Problem {
    let features: Vec<String> = unsupported.iter().map(|one| format!("`{}`", one.feature)).collect();
    let what = match features.as_slice() {
        [feature] => format!("{name} uses the WebAssembly feature {feature}, which this host does not have"),
        features => format!("{name} uses the WebAssembly features {}, none of which this host has", features.join(", ")),
    };
    let causes: Vec<&str> = unsupported.iter().map(|one| one.why.as_str()).collect();
    Problem::new(ProblemKind::Format, what).because_text(causes.join("\n")).help_with(remedy(unsupported))
}

/// What to tell the compiler that made such a plugin.
fn remedy(unsupported: &[Unsupported]) -> &'static str {
    match unsupported.first().map(|first| first.feature.as_str()) {
        Some("legacy-exceptions") => {
            "build it with the exceptions of the standard, as clang does with `-mllvm -wasm-use-legacy-eh=false` and Emscripten \
             with `-sWASM_LEGACY_EXCEPTIONS=0`, or without exceptions"
        }
        Some(SHARED_MEMORY | "shared-everything-threads") => "build it without threads: a guest has one thread",
        _ => "build it without that, as for wasm32-wasip2 with the features that its compiler uses by itself",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::compile_how::Epochs;
    use crate::plugin::machine::Machine;

    fn binary(text: &str) -> Vec<u8> {
        wat::parse_str(text).expect("a valid test module")
    }

    /// What is found in a text, by name.
    fn found(text: &str) -> Vec<String> {
        let unsupported = unsupported(&binary(text), EngineKind::Plain).expect("it is valid with all features");
        unsupported.into_iter().map(|one| one.feature).collect()
    }

    /// A module or component for each feature that wasmparser tells apart, in order to ask wasmtime as well.
    const EACH: [&str; 32] = [
        "(module (func (result i32 i32) i32.const 1 i32.const 2))",
        "(module (func (result i32) i32.const 1 i32.extend8_s))",
        "(module (func (result i32) f32.const 1 i32.trunc_sat_f32_s))",
        "(module (table 1 externref))",
        "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))",
        "(module (func (result v128) v128.const i32x4 1 2 3 4))",
        "(module (func (param v128) (result v128) local.get 0 local.get 0 local.get 0 f32x4.relaxed_madd))",
        "(module (memory 1) (func (result i32) i32.const 0 i32.atomic.load))",
        "(module (type (shared (func))))",
        "(module (func $f return_call $f))",
        "(module (memory 1) (memory 1))",
        "(module (tag) (func (block $out (try_table (catch_all $out)))))",
        "(module (tag) (func try catch_all end))",
        "(module (memory i64 1))",
        "(module (global i32 (i32.add (i32.const 1) (i32.const 2))))",
        "(module (func (param (ref null func)) (result (ref func)) local.get 0 ref.as_non_null))",
        "(module (type (struct (field i32))))",
        "(module (memory 1 (pagesize 1)))",
        "(module (type $f (func)) (type (cont $f)))",
        "(module (func i64.const 1 i64.const 1 i64.const 1 i64.const 1 i64.add128 drop drop))",
        "(module (memory 1) (func (memory.discard (i32.const 0) (i32.const 0))))",
        r#"(component (import "f" (func)))"#,
        r#"(component (import "f" (func async)))"#,
        r#"(component (import "f" (func (param "s" (stream u8)))))"#,
        "(component (core func (canon backpressure.inc)))",
        "(component (core func (canon subtask.drop)))",
        "(component (core func (canon task.cancel)))",
        "(component (core func (canon subtask.cancel async)))",
        r#"(component (import "f" (func (param "e" error-context))))"#,
        r#"(component (import "f" (func (param "l" (list u8 4)))))"#,
        r#"(component (import "f" (func (param "m" (map string u8)))))"#,
        r#"(component (import "a:b:c/d" (func)))"#,
    ];

    #[test]
    fn what_is_valid_here_is_what_the_engines_take() {
        let (mut taken, mut refused) = (0, 0);
        for kind in EngineKind::ALL {
            let machine = Machine::new(kind, Epochs::Checked, &[]).expect("an engine");
            for text in EACH {
                let wasm = binary(text);
                let compiled = match text.starts_with("(module") {
                    true => machine.engine.precompile_module(&wasm),
                    false => machine.engine.precompile_component(&wasm),
                };
                let is_here = unsupported(&wasm, kind).is_ok_and(|unsupported| unsupported.is_empty());
                assert_eq!(is_here, compiled.is_ok(), "{kind:?} {text}: {:?}", compiled.err());
                if is_here { taken += 1 } else { refused += 1 }
            }
        }
        assert!(taken > 30 && refused > 15, "{taken} taken and {refused} refused: it tells nothing");
    }

    #[test]
    fn each_feature_is_told_once_and_the_first_few_together() {
        let legacy = "(func try catch_all end) (func try catch_all end)";
        let wide = "(func i64.const 1 i64.const 1 i64.const 1 i64.const 1 i64.add128 drop drop)";
        assert_eq!(found(&format!("(module {legacy})")), ["legacy-exceptions"]);
        assert_eq!(found(&format!("(module {wide} {legacy})")), ["wide-arithmetic", "legacy-exceptions"]);
        assert_eq!(found(&format!("(module (memory 1 1 shared) {legacy})")), ["legacy-exceptions", "shared-memory"]);
        assert_eq!(found(r#"(module (import "a" "b" (memory 1 1 shared)))"#), ["shared-memory"]);
        assert_eq!(found("(component (core module (memory 1 1 shared)))"), ["shared-memory"]);
        assert!(found("(module (memory 1))").is_empty());
    }

    #[test]
    fn what_no_feature_would_help_is_an_error() {
        // A function that promises a number and gives none, and a module that ends in the midst.
        let wrong = binary("(module (func (result i32) unreachable))");
        let nothing = wrong.iter().rposition(|byte| *byte == 0).expect("unreachable");
        let mut damaged = wrong.clone();
        damaged[nothing] = 1;
        assert!(unsupported(&wrong, EngineKind::Plain).is_ok_and(|unsupported| unsupported.is_empty()));
        assert!(unsupported(&damaged, EngineKind::Plain).is_err());
        assert!(unsupported(&wrong[..wrong.len() - 1], EngineKind::Plain).is_err());
    }

    #[test]
    fn a_problem_names_the_features_and_what_to_do() {
        let one = |feature: &str| Unsupported { feature: feature.to_owned(), why: format!("{feature} is used") };
        let problem = problem("p", &[one("legacy-exceptions"), one("threads")]);
        let said = "p uses the WebAssembly features `legacy-exceptions`, `threads`, none of which this host has";
        assert_eq!(problem.to_string(), said);
        assert!(problem.help().is_some_and(|help| help.contains("-wasm-use-legacy-eh=false")));
    }
}
