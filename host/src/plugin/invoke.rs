//! Calls of a component's functions, with arguments and results in WAVE, the text form of component values.

use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::wasm_wave::untyped::UntypedFuncCall;
use wasmtime::component::wasm_wave::wasm::DisplayType;
use wasmtime::component::wasm_wave::writer::Writer;
use wasmtime::component::{Component, ComponentExportIndex, Instance, Type, Val};
use wasmtime::{Store, format_err};

use super::flags_weight;
use super::offer::closest;
use super::state::GuestState;
use crate::problem::{Problem, ProblemKind, Result};
use crate::shown;

/// Bytes of a result as text. 16 MiB, as much as a call may bring by default: of eight bytes that the guest gives, text may make a
/// number of three hundred letters.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// A call whose function was found and whose arguments fit.
pub(super) struct Call {
    name: String,
    function: ComponentExportIndex,
    arguments: Vec<Val>,
    results: usize,
    /// How many bytes a result may take for each that wasmtime counts.
    weight: usize,
}

/// A function that can be called.
struct Callable {
    /// The interface it is in, if it is in one.
    interface: Option<String>,
    name: String,
    ty: ComponentFunc,
}

/// Where a component has the function of this name, with its interface or without.
pub(super) fn locate(plugin: &str, component: &Component, name: &str) -> Result<ComponentExportIndex> {
    find(plugin, &callables(component), name)?.index(component)
}

impl Call {
    /// Finds what `NAME(ARGUMENTS)` calls.
    pub(super) fn parse(plugin: &str, component: &Component, call: &str) -> Result<Self> {
        let (name, arguments) = match call.find('(') {
            Some(start) => call.split_at(start),
            None => (call, "()"),
        };
        // The name may have characters that WAVE does not take; one of the same length keeps the places in error messages.
        let wave = "f".repeat(name.len()) + arguments;
        let name = name.trim();
        let callables = callables(component);
        let callable = find(plugin, &callables, name)?;
        let arguments = parse_arguments(callable, &wave)?;
        let function = callable.index(component)?;
        let weight = flags_weight::of_results(callable.ty.results());
        Ok(Self { name: name.to_owned(), function, arguments, results: callable.ty.results().len(), weight })
    }

    /// Makes the call.
    pub(super) async fn make(&self, store: &mut Store<GuestState>, instance: Instance) -> wasmtime::Result<Vec<Val>> {
        let function = instance.get_func(&mut *store, self.function);
        let function = function.ok_or_else(|| format_err!("the function `{}` was lost", self.name))?;
        let mut results = vec![Val::Bool(false); self.results];
        let most = store.hostcall_fuel();
        // What the guest's own calls may carry meanwhile is less, too: wasmtime has one count for both.
        store.set_hostcall_fuel(most / self.weight);
        let outcome = function.call_async(&mut *store, &self.arguments, &mut results).await;
        store.set_hostcall_fuel(most);
        outcome.map(|()| results)
    }

    /// The result in WAVE, if there is one.
    pub(super) fn show(&self, results: &[Val]) -> Result<Option<String>> {
        results.first().map(|result| self.show_one(result)).transpose()
    }

    fn show_one(&self, result: &Val) -> Result<String> {
        let unshowable = |error| {
            Problem::new(ProblemKind::Call, format!("`{}` returned something that has no text form", self.name)).because(error)
        };
        match result {
            Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => {
                Err(unshowable(anyhow::anyhow!("handles and streams have no text form")))
            }
            _ => {
                let mut text = shown::CutText::of(TEXT_BYTES_MAX);
                match Writer::new(&mut text).write_value(result) {
                    Ok(()) => Ok(text.text),
                    // Nothing else goes wrong where there is room.
                    Err(_) => Err(self.too_much_text()),
                }
            }
        }
    }

    fn too_much_text(&self) -> Problem {
        let what = format!("`{}` returned more than {} MiB of text", self.name, TEXT_BYTES_MAX >> 20);
        Problem::new(ProblemKind::Limit, what).help_for(
            "have it return less at a time, or call it by its type with Guest::call",
            "have it return less at a time, or write it to a file",
        )
    }
}

fn parse_arguments(callable: &Callable, call: &str) -> Result<Vec<Val>> {
    let types: Vec<Type> = callable.ty.params().map(|(_, ty)| ty).collect();
    let unfit = |error| {
        Problem::new(ProblemKind::Call, format!("the arguments do not fit `{}`", callable.full_name()))
            .because(error)
            .help_with(format!(
                "it is {}; arguments are in WAVE: 1, -2.5, true, \"text\", [1, 2], {{name: \"x\"}}",
                callable.signature()
            ))
    };
    let call = UntypedFuncCall::parse(call).map_err(|error| unfit(anyhow::Error::new(error)))?;
    let values = call.to_wasm_params::<Val>(&types).map_err(|error| unfit(anyhow::Error::new(error)))?;
    if values.len() != types.len() {
        return Err(unfit(anyhow::anyhow!("{} are given, {} are needed", values.len(), types.len())));
    }
    Ok(values)
}

/// Everything that can be called.
fn callables(component: &Component) -> Vec<Callable> {
    let engine = component.engine();
    let mut callables = Vec::new();
    for (name, export) in component.component_type().exports(engine) {
        match export.ty {
            ComponentItem::ComponentFunc(ty) => callables.push(Callable { interface: None, name: name.to_owned(), ty }),
            ComponentItem::ComponentInstance(interface) => {
                let functions = interface.exports(engine).filter_map(|(function, export)| match export.ty {
                    ComponentItem::ComponentFunc(ty) => {
                        Some(Callable { interface: Some(name.to_owned()), name: function.to_owned(), ty })
                    }
                    _ => None,
                });
                callables.extend(functions);
            }
            _ => {}
        }
    }
    callables
}

/// The function of this name: with its interface, or without if no other has the same name.
fn find<'a>(plugin: &str, callables: &'a [Callable], name: &str) -> Result<&'a Callable> {
    let matches: Vec<&Callable> = callables.iter().filter(|callable| callable.is_called(name)).collect();
    match *matches.as_slice() {
        [callable] => Ok(callable),
        [] => {
            let signatures = callables.iter().map(Callable::signature);
            let full_names: Vec<String> = callables.iter().map(Callable::full_name).collect();
            let short_names = callables.iter().map(|callable| callable.name.as_str());
            Err(not_found(plugin, signatures, short_names.chain(full_names.iter().map(String::as_str)), name))
        }
        [..] => {
            let names: Vec<String> = matches.iter().map(|callable| format!("`{}`", callable.full_name())).collect();
            Err(Problem::new(ProblemKind::Export, format!("{plugin} has several functions `{name}`"))
                .help_with(format!("name one of {}", names.join(", "))))
        }
    }
}

/// The problem of a function that is not among those with these signatures and names.
pub(super) fn not_found<'a>(
    plugin: &str,
    signatures: impl Iterator<Item = String>,
    names: impl Iterator<Item = &'a str>,
    name: &str,
) -> Problem {
    let problem = Problem::new(ProblemKind::Export, format!("{plugin} has no function `{name}`"));
    // As many as are shown, and one that tells that there are more.
    let signatures: Vec<String> = signatures.take(shown::LINES_MAX + 1).collect();
    if signatures.is_empty() {
        return problem.because_text("it exports no functions");
    }
    let problem = problem.because_text(format!("its functions are\n{}", signatures.join("\n")));
    match closest(name, names) {
        Some(closest) => problem.help_with(format!("the closest is `{closest}`")),
        None => problem.help_with("name one of them, with arguments in parentheses"),
    }
}

impl Callable {
    fn is_called(&self, name: &str) -> bool {
        if self.name == name {
            return true;
        }
        let Some(interface) = &self.interface else { return false };
        let without_version = interface.split('@').next().unwrap_or(interface);
        let in_interface =
            |interface: &str| name.strip_prefix(interface).and_then(|rest| rest.strip_prefix('.')) == Some(&self.name);
        in_interface(interface) || in_interface(without_version)
    }

    fn index(&self, component: &Component) -> Result<ComponentExportIndex> {
        let interface = self.interface.as_ref().and_then(|interface| component.get_export_index(None, interface));
        component
            .get_export_index(interface.as_ref(), &self.name)
            .ok_or_else(|| Problem::new(ProblemKind::Host, format!("the function `{}` was lost", self.name)))
    }

    fn full_name(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{interface}.{}", self.name),
            None => self.name.clone(),
        }
    }

    /// The function with its types, as `add(a: u32, b: u32) -> u32`.
    fn signature(&self) -> String {
        shown::written(|to| {
            write!(to, "{}(", self.full_name())?;
            for (number, (name, ty)) in self.ty.params().enumerate() {
                let comma = if number > 0 { ", " } else { "" };
                write!(to, "{comma}{name}: {}", DisplayType(&ty))?;
            }
            write!(to, ")")?;
            self.ty.results().try_for_each(|ty| write!(to, " -> {}", DisplayType(&ty)))
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{Host, ProblemKind};

    /// Returns a list of so many numbers, whose text has 327 letters each.
    const SMALLEST: &str = r#"(component
        (core module $code
            (memory (export "memory") 100)
            (func (export "f") (param $count i32) (result i32) (local $at i32)
                (local.set $at (i32.const 64))
                (i32.store (i32.const 0) (i32.const 64))
                (i32.store (i32.const 4) (local.get $count))
                (loop $more
                    (i64.store (local.get $at) (i64.const 0x8000000000000001))
                    (local.set $at (i32.add (local.get $at) (i32.const 8)))
                    (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                    (br_if $more (local.get $count)))
                (i32.const 0)))
        (core instance $code (instantiate $code))
        (func (export "f") (param "count" u32) (result (list f64))
            (canon lift (core func $code "f") (memory (core memory $code "memory")))))"#;

    #[test]
    fn the_text_of_a_result_was_forty_times_as_long_as_the_result() {
        let plugin = Host::builder().build().expect("a host").load_bytes("numbers.wat", SMALLEST.as_bytes()).expect("a plugin");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
        let text = runtime.block_on(plugin.invoke("f(1000)")).expect("they are few").expect("a list");
        assert!(text.len() > 300_000, "{}", text.len());
        let error = runtime.block_on(plugin.invoke("f(60000)")).expect_err("they make 20 MB of text");
        assert_eq!(error.kind(), ProblemKind::Limit, "{error}");
    }
}
