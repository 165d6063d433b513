//! What a plugin imports and exports, and whether anything in it is asynchronous.

use anyhow::Context as _;
use wasmparser::component_types::{ComponentEntityType, ComponentItem};
use wasmparser::types::{EntityType, Types};
use wasmparser::{Parser, Payload, ValType, ValidPayload, Validator, WasmFeatures};
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem as CompiledItem;
use wasmtime::{ExternType, FuncType, Module};

use super::machine::EngineKind;
use crate::wasi::preview1;

/// What a plugin imports and exports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Its imports: what it needs from the host.
    pub imports: Vec<Item>,
    /// Its exports: what can be called.
    pub exports: Vec<Item>,
}

/// One import or export.
///
/// ```
/// use aiohost::plugin::{Item, describe};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("plugin.wat");
/// # std::fs::write(&path, r#"(component (import "example:host/log" (instance (export "log" (func)))))"#)?;
/// let imports: Vec<Item> = describe(path)?.world.imports;
/// assert_eq!((imports[0].name.as_str(), imports[0].functions()[0].name.as_str()), ("example:host/log", "log"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name with the version, such as `wasi:cli/run@0.2.6`, or `_start` for a core module.
    pub name: String,
    /// Its kind.
    pub kind: ItemKind,
}

/// The kind of an import or export.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ItemKind {
    /// A function outside of any interface.
    Function {
        /// Whether it is an `async func`.
        is_async: bool,
    },
    /// An interface; for a core module, the module that its functions are imported from.
    Interface(Vec<Function>),
    /// A type outside of any interface.
    Type,
    /// An export of a core module, by its type: `func(i32, i32) -> i32`, `memory`, `table`, `global`, `tag`.
    Core(String),
    /// A module or a component.
    Other,
}

/// A function of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, such as `stat` or `[method]request.wait`.
    pub name: String,
    /// Whether it is an `async func`.
    pub is_async: bool,
}

/// The export by which a plugin is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// The name of the interface, such as `wasi:cli/run@0.2.6`; for a core module, the function `_start`.
    pub interface: &'a str,
    /// 1 for WASI preview 1, 2 for WASI 0.2, 3 for WASI 0.3.
    pub wasi_minor: u64,
}

/// Features that a component needs only when something in it is asynchronous.
const ASYNC_FEATURES: WasmFeatures = WasmFeatures::CM_ASYNC
    .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
    .union(WasmFeatures::CM_ASYNC_STACKFUL)
    .union(WasmFeatures::CM_THREADING)
    .union(WasmFeatures::CM_ERROR_CONTEXT);

impl World {
    /// Reads a binary component, without looking at the code of its functions, and tells which engine it needs.
    pub(super) fn read(component: &[u8]) -> anyhow::Result<(Self, EngineKind)> {
        // A component that is valid without the asynchronous features has nothing asynchronous in it, at any depth.
        if let Ok(world) = Self::read_with(component, WasmFeatures::all().difference(ASYNC_FEATURES)) {
            let kind = if world.uses_wasi(3) { EngineKind::Concurrent } else { EngineKind::Plain };
            return Ok((world, kind));
        }
        Ok((Self::read_with(component, WasmFeatures::all())?, EngineKind::Concurrent))
    }

    fn read_with(component: &[u8], features: WasmFeatures) -> anyhow::Result<Self> {
        let mut validator = Validator::new_with_features(features);
        let (mut imports, mut exports) = (Vec::new(), Vec::new());
        let mut depth = 0_usize;
        let mut types = None;
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload?;
            match &payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section.clone() {
                        imports.push(import?.name.name);
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section.clone() {
                        exports.push(export?.name.name);
                    }
                }
                _ => {}
            }
            if let ValidPayload::End(end) = validator.payload(&payload)? {
                types = Some(end);
            }
        }
        let types = types.context("the component is cut short")?;
        let item = |name: &str, item: Option<&ComponentItem>| {
            let ty = item.context("a name of the component has no type")?.ty;
            anyhow::Ok(Item { name: name.to_owned(), kind: ItemKind::read(&types, ty) })
        };
        let view = types.as_ref();
        Ok(Self {
            imports: imports.iter().map(|name| item(name, view.component_item_for_import(name))).collect::<Result<_, _>>()?,
            exports: exports.iter().map(|name| item(name, view.component_item_for_export(name))).collect::<Result<_, _>>()?,
        })
    }

    /// The same from a component that was compiled.
    pub(super) fn of_compiled(component: &Component) -> Self {
        let engine = component.engine();
        let ty = component.component_type();
        let item = |name: &str, item| Item { name: name.to_owned(), kind: ItemKind::of_compiled(engine, item) };
        Self {
            imports: ty.imports(engine).map(|(name, import)| item(name, import.ty)).collect(),
            exports: ty.exports(engine).map(|(name, export)| item(name, export.ty)).collect(),
        }
    }

    /// Reads a core module that runs as it is, without looking at the code of its functions.
    pub(super) fn read_module(module: &[u8]) -> anyhow::Result<Self> {
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        let mut types = None;
        for payload in Parser::new(0).parse_all(module) {
            if let ValidPayload::End(end) = validator.payload(&payload?)? {
                types = Some(end);
            }
        }
        let types = types.context("the module is cut short")?;
        let view = types.as_ref();
        let imports = view.core_imports().into_iter().flatten();
        let exports = view.core_exports().into_iter().flatten();
        Ok(Self::of_core(
            imports.map(|(from, name, ty)| (from, name, core_type(&types, ty))),
            exports.map(|(name, ty)| (name, core_type(&types, ty))),
        ))
    }

    /// The same from a core module that was compiled.
    pub(super) fn of_compiled_module(module: &Module) -> Self {
        Self::of_core(
            module.imports().map(|import| (import.module(), import.name(), compiled_core_type(&import.ty()))),
            module.exports().map(|export| (export.name(), compiled_core_type(&export.ty()))),
        )
    }

    /// Functions are listed by the module that they are imported from.
    fn of_core<'a>(
        imports: impl Iterator<Item = (&'a str, &'a str, String)>,
        exports: impl Iterator<Item = (&'a str, String)>,
    ) -> Self {
        let mut world = Self::default();
        for (from, name, ty) in imports {
            if !ty.starts_with(FUNCTION) {
                world.imports.push(Item { name: format!("{from}::{name}"), kind: ItemKind::Core(ty) });
                continue;
            }
            let function = Function { name: name.to_owned(), is_async: false };
            let known = world.imports.iter_mut().find(|import| import.name == from);
            match known.map(|import| &mut import.kind) {
                Some(ItemKind::Interface(functions)) => functions.push(function),
                _ => world.imports.push(Item { name: from.to_owned(), kind: ItemKind::Interface(vec![function]) }),
            }
        }
        world.exports = exports.map(|(name, ty)| Item { name: name.to_owned(), kind: ItemKind::Core(ty) }).collect();
        world
    }

    /// The export by which this plugin is run: `wasi:cli/run` of WASI 0.3, or else of 0.2, or `_start` of a core module.
    pub fn command(&self) -> Option<Command<'_>> {
        let commands = self.exports.iter().filter_map(|export| {
            if export.name == "_start" && matches!(&export.kind, ItemKind::Core(ty) if ty == "func()") {
                return Some(Command { interface: &export.name, wasi_minor: 1 });
            }
            let wasi_minor = match export.name.strip_prefix("wasi:cli/run@0.") {
                Some(rest) if rest.starts_with("2.") => 2,
                Some(rest) if rest.starts_with("3.") => 3,
                _ => return None,
            };
            let runs = export.functions().iter().any(|function| function.name == "run");
            runs.then_some(Command { interface: &export.name, wasi_minor })
        });
        commands.max_by_key(|command| command.wasi_minor)
    }

    /// Whether it imports or exports anything of WASI 0.2 or 0.3 (`minor` is 2 or 3), or of preview 1 (`minor` is 1).
    pub fn uses_wasi(&self, minor: u64) -> bool {
        if minor == 1 {
            return self.imports.iter().any(|import| import.name == preview1::MODULE);
        }
        let of_wasi = |item: &Item| item.name.starts_with("wasi:") && item.name.contains(&format!("@0.{minor}."));
        self.imports.iter().chain(&self.exports).any(of_wasi)
    }
}

impl Item {
    /// The functions of an interface; empty for anything else.
    pub fn functions(&self) -> &[Function] {
        match &self.kind {
            ItemKind::Interface(functions) => functions,
            ItemKind::Function { .. } | ItemKind::Type | ItemKind::Core(_) | ItemKind::Other => &[],
        }
    }
}

impl ItemKind {
    fn read(types: &Types, ty: ComponentEntityType) -> Self {
        match ty {
            ComponentEntityType::Func(id) => Self::Function { is_async: types[id].async_ },
            ComponentEntityType::Instance(id) => {
                let function = |(name, item): (&String, &ComponentItem)| match item.ty {
                    ComponentEntityType::Func(id) => Some(Function { name: name.clone(), is_async: types[id].async_ }),
                    _ => None,
                };
                Self::Interface(types[id].exports.iter().filter_map(function).collect())
            }
            ComponentEntityType::Type { .. } => Self::Type,
            ComponentEntityType::Module(_) | ComponentEntityType::Value(_) | ComponentEntityType::Component(_) => Self::Other,
        }
    }

    fn of_compiled(engine: &wasmtime::Engine, item: CompiledItem) -> Self {
        match item {
            CompiledItem::ComponentFunc(ty) => Self::Function { is_async: ty.async_() },
            CompiledItem::ComponentInstance(ty) => {
                let function = |name: &str, item| match item {
                    CompiledItem::ComponentFunc(ty) => Some(Function { name: name.to_owned(), is_async: ty.async_() }),
                    _ => None,
                };
                Self::Interface(ty.exports(engine).filter_map(|(name, export)| function(name, export.ty)).collect())
            }
            CompiledItem::Type(_) | CompiledItem::Resource(_) => Self::Type,
            CompiledItem::CoreFunc(_) | CompiledItem::Module(_) | CompiledItem::Component(_) => Self::Other,
        }
    }
}

/// How the type of a function begins.
const FUNCTION: &str = "func";

/// A type as [`ItemKind::Core`] has it.
fn core_type(types: &Types, ty: EntityType) -> String {
    match ty {
        EntityType::Func(id) | EntityType::FuncExact(id) => {
            let function = types[id].unwrap_func();
            let signature = signature(function.params().iter().map(value_type), function.results().iter().map(value_type));
            format!("{FUNCTION}{signature}")
        }
        EntityType::Memory(_) => "memory".to_owned(),
        EntityType::Table(_) => "table".to_owned(),
        EntityType::Global(_) => "global".to_owned(),
        EntityType::Tag(_) => "tag".to_owned(),
    }
}

fn value_type(ty: &ValType) -> String {
    if ty.is_reference_type() { REFERENCE.to_owned() } else { ty.to_string() }
}

fn compiled_core_type(ty: &ExternType) -> String {
    match ty {
        ExternType::Func(function) => format!("{FUNCTION}{}", compiled_signature(function)),
        ExternType::Memory(_) => "memory".to_owned(),
        ExternType::Table(_) => "table".to_owned(),
        ExternType::Global(_) => "global".to_owned(),
        ExternType::Tag(_) => "tag".to_owned(),
    }
}

/// The parameters and results of a function, as `(i32, i32) -> i32`.
pub(super) fn compiled_signature(function: &FuncType) -> String {
    let value_type = |ty: wasmtime::ValType| if ty.is_ref() { REFERENCE.to_owned() } else { ty.to_string() };
    signature(function.params().map(value_type), function.results().map(value_type))
}

/// What every reference is called, since nobody here can give one.
const REFERENCE: &str = "ref";

fn signature(parameters: impl Iterator<Item = String>, results: impl Iterator<Item = String>) -> String {
    let parameters = parameters.collect::<Vec<_>>().join(", ");
    let results: Vec<String> = results.collect();
    match results.as_slice() {
        [] => format!("({parameters})"),
        [result] => format!("({parameters}) -> {result}"),
        _ => format!("({parameters}) -> ({})", results.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An import of each kind, and a core module whose sections must not be taken for the component's.
    const TEXT: &str = r#"(component
        (import "aiohost:aio/blocking@0.1.0" (instance
            (export "nop" (func (result (result (error u32)))))))
        (import "alone" (func))
        (core module $m (import "a" "b" (func)) (func (export "run") (result i32) i32.const 0))
        (core module $n (func (export "b")))
        (core instance $n (instantiate $n))
        (core instance $m (instantiate $m (with "a" (instance $n))))
        (func $run (result (result)) (canon lift (core func $m "run")))
        (instance $run (export "run" (func $run)))
        (export "wasi:cli/run@0.2.6" (instance $run)))"#;

    fn read(text: &str) -> (World, EngineKind) {
        World::read(&wat::parse_str(text).expect("a valid test component")).expect("a valid component")
    }

    #[test]
    fn a_component_is_read_without_compiling_it() {
        let (world, kind) = read(TEXT);
        assert_eq!(kind, EngineKind::Plain);
        let names: Vec<&str> = world.imports.iter().map(|import| import.name.as_str()).collect();
        assert_eq!(names, ["aiohost:aio/blocking@0.1.0", "alone"]);
        assert_eq!(world.imports[0].functions(), [Function { name: "nop".to_owned(), is_async: false }]);
        assert_eq!(world.imports[1].kind, ItemKind::Function { is_async: false });
        assert_eq!(world.command(), Some(Command { interface: "wasi:cli/run@0.2.6", wasi_minor: 2 }));
    }

    #[test]
    fn a_plugin_that_can_be_run_both_ways_is_run_by_wasi_0_3() {
        let run = |version: &str, lifted: &str| {
            format!(
                r#"(func $f{version} {lifted} (result (result)) (canon lift (core func $m "run")))
                (instance $i{version} (export "run" (func $f{version})))
                (export "wasi:cli/run@0.{version}" (instance $i{version}))"#
            )
        };
        let (older, newer) = (run("2.6", ""), run("3.0", "async"));
        for exports in [format!("{older} {newer}"), format!("{newer} {older}")] {
            let (world, kind) = read(&format!(
                r#"(component
                    (core module $m (func (export "run") (result i32) i32.const 0))
                    (core instance $m (instantiate $m))
                    {exports})"#
            ));
            assert_eq!(world.command(), Some(Command { interface: "wasi:cli/run@0.3.0", wasi_minor: 3 }));
            assert_eq!(kind, EngineKind::Concurrent);
        }
    }

    #[test]
    fn a_compiled_component_tells_the_same() {
        let engine = wasmtime::Engine::default();
        let binary = wat::parse_str(TEXT).expect("a valid test component");
        let component = Component::new(&engine, binary).expect("a valid component");
        assert_eq!(World::of_compiled(&component), read(TEXT).0);
    }

    #[test]
    fn a_core_module_tells_its_functions_by_their_types_compiled_or_not() {
        let text = r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (import "wasi_snapshot_preview1" "memory" (memory 1))
            (func (export "_start"))
            (func (export "swap") (param i32 f64 externref) (result externref i64) unreachable)
            (table (export "t") 1 funcref) (global (export "g") i32 (i32.const 0)) (tag (export "e")))"#;
        let binary = wat::parse_str(text).expect("a valid test module");
        let world = World::read_module(&binary).expect("a valid module");
        let import = |name: &str, kind| Item { name: name.to_owned(), kind };
        let function = |name: &str| Function { name: name.to_owned(), is_async: false };
        assert_eq!(
            world.imports,
            [
                import("wasi_snapshot_preview1", ItemKind::Interface(vec![function("fd_write"), function("proc_exit")])),
                import("wasi_snapshot_preview1::memory", ItemKind::Core("memory".to_owned())),
            ]
        );
        let exports: Vec<String> = world.exports.iter().map(|export| format!("{} {:?}", export.name, export.kind)).collect();
        let core = |name: &str, ty: &str| format!("{name} {:?}", ItemKind::Core(ty.to_owned()));
        assert_eq!(
            exports,
            [
                core("_start", "func()"),
                core("swap", "func(i32, f64, ref) -> (ref, i64)"),
                core("t", "table"),
                core("g", "global"),
                core("e", "tag")
            ]
        );
        assert_eq!(world.command(), Some(Command { interface: "_start", wasi_minor: 1 }));
        assert!(world.uses_wasi(1) && !world.uses_wasi(2));
        let module = Module::new(&wasmtime::Engine::default(), binary).expect("a valid module");
        assert_eq!(World::of_compiled_module(&module), world);
    }

    #[test]
    fn whatever_is_asynchronous_at_any_depth_needs_concurrency() {
        let kind = |text: &str| read(text).1;
        assert_eq!(kind("(component)"), EngineKind::Plain);
        assert_eq!(kind(r#"(component (import "f" (func async)))"#), EngineKind::Concurrent);
        assert_eq!(kind(r#"(component (import "f" (func (param "s" (stream u8)))))"#), EngineKind::Concurrent);
        assert_eq!(kind("(component (component (type (future u8))))"), EngineKind::Concurrent);
        assert_eq!(kind("(component (core func (canon backpressure.inc)))"), EngineKind::Concurrent);
    }

    #[test]
    fn wasi_0_3_needs_concurrency_even_where_nothing_is_asynchronous() {
        let random = r#"(component (import "wasi:random/random@0.3.0" (instance
            (export "get-random-u64" (func (result u64))))))"#;
        assert_eq!(read(random).1, EngineKind::Concurrent);
    }
}
