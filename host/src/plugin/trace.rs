//! Where in its code a guest was when it was ended, in words.
//!
//! wasmtime has these words, too, with names as the author of the guest wrote them. Of a name of C++ that says "the same once more"
//! they are any number of times as long as the name is, and nothing bounds them. So they are put together here, as far as they are
//! shown.

use cpp_demangle::{DemangleOptions, Symbol};
use wasmtime::{FrameInfo, FrameSymbol, WasmBacktrace};

use crate::shown;

/// Bytes of a name up to which it is looked for what its author wrote. 4,096: compilers make names of hundreds.
const MANGLED_MAX: usize = 4096;

/// The calls that were under way, if any were.
pub(super) fn of(error: &wasmtime::Error) -> Option<String> {
    let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).filter(|frames| !frames.is_empty())?;
    let mut text = "error while executing at wasm backtrace:".to_owned();
    for (number, frame) in frames.iter().enumerate() {
        text.push_str(&format!("\n  {number:>3}: "));
        if let Some(offset) = frame.module_offset() {
            text.push_str(&format!("{offset:#8x} - "));
        }
        push_frame(&mut text, frame);
    }
    Some(text)
}

fn push_frame(text: &mut String, frame: &FrameInfo) {
    let own_name = || match frame.func_name() {
        Some(name) => author_s(name),
        None => format!("<wasm function {}>", frame.func_index()),
    };
    if frame.symbols().is_empty() {
        text.push_str(&format!("{}!{}", shown::name(frame.module().name().unwrap_or("<unknown>")), own_name()));
    }
    for (number, symbol) in frame.symbols().iter().enumerate() {
        if number > 0 {
            text.push_str("\n                - ");
        }
        text.push_str(&match symbol.name() {
            Some(name) => author_s(name),
            None if number == 0 => own_name(),
            None => "<inlined function>".to_owned(),
        });
        push_place(text, symbol);
    }
}

fn push_place(text: &mut String, symbol: &FrameSymbol) {
    let Some(file) = symbol.file() else { return };
    text.push_str(&format!("\n                    at {}", shown::name(file)));
    for number in [symbol.line(), symbol.line().and_then(|_| symbol.column())].into_iter().flatten() {
        text.push_str(&format!(":{number}"));
    }
}

/// A name as its author wrote it, if a compiler of Rust or of C++ made it of that.
fn author_s(name: &str) -> String {
    let written = || {
        let name = Some(name).filter(|name| name.len() <= MANGLED_MAX)?;
        if let Ok(rust) = rustc_demangle::try_demangle(name) {
            return Some(shown::written(|to| write!(to, "{rust}")));
        }
        // Without the mark, which macOS writes with one more underscore, it would be read as a type: `d` as `double`.
        let mark = name.trim_start_matches('_');
        if mark.len() == name.len() || !mark.starts_with('Z') {
            return None;
        }
        let symbol = Symbol::new(name).ok()?;
        Some(shown::written(|mut to| symbol.structured_demangle(&mut to, &DemangleOptions::default())))
    };
    shown::name(&written().unwrap_or_else(|| name.to_owned())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_as_its_author_wrote_it_up_to_what_is_shown() {
        assert_eq!(
            author_s("_ZN4core9panicking9panic_fmt17h0123456789abcdefE"),
            "core::panicking::panic_fmt::h0123456789abcdef"
        );
        assert_eq!(author_s("_ZNSt6vectorIiE4pushEi"), "std::vector<int>::push(int)");
        for name in ["main", "d", "i", "v", "Pc", "_start", "__d"] {
            assert_eq!(author_s(name), name);
        }
        // Each argument names the one before it twice.
        let shown = author_s(&doubling("A", 62));
        assert!(shown.starts_with("f(A, B<A, A>, B<B<A, A>, B<A, A> >, B<B<B<") && shown.chars().count() <= 201, "{shown}");
        assert!(author_s(&"x".repeat(100_000)).chars().count() <= 201);
    }

    /// A name that is written with 2^`steps` times another one.
    fn doubling(name: &str, steps: usize) -> String {
        let twice = |number: usize| format!("S0_IS{0}_S{0}_E", digits(number - 1));
        format!("_Z1f{}{name}1BIS_S_E{}", name.len(), (2..steps).map(twice).collect::<String>())
    }

    #[test]
    fn a_trace_was_any_number_of_times_as_long_as_its_plugin() {
        let name = doubling(&"A".repeat(1_000), 12);
        let text = format!(r#"(module (func $"{name}" (export "f") unreachable))"#);
        let engine = wasmtime::Engine::default();
        let module = wasmtime::Module::new(&engine, wat::parse_str(text).expect("valid text")).expect("a valid module");
        let mut store = wasmtime::Store::new(&engine, ());
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).expect("it imports nothing");
        let function = instance.get_typed_func::<(), ()>(&mut store, "f").expect("it is there");
        let error = function.call(&mut store, ()).expect_err("it traps");
        let trace = of(&error).expect("it was in a function");
        assert!(trace.contains("<unknown>!f(AAAA") && trace.len() < 1_000, "{trace}");
        assert!(error.to_string().len() > 1_000_000, "wasmtime writes all of it");
    }

    /// A number as names have it: in base 36.
    fn digits(mut number: usize) -> String {
        let mut digits = String::new();
        loop {
            digits.insert(
                0,
                char::from_digit(u32::try_from(number % 36).expect("it is small"), 36).expect("a digit").to_ascii_uppercase(),
            );
            number /= 36;
            if number == 0 {
                return digits;
            }
        }
    }
}
