//! Calls of a core module's functions, with numbers as arguments and results.

use anyhow::{Context as _, anyhow};
use wasmtime::{ExternType, FuncType, Instance, Module, Store, Val, ValType, format_err};

use super::invoke::not_found;
use super::state::GuestState;
use super::world::compiled_signature;
use crate::problem::{Problem, ProblemKind, Result};

/// What a library has to be called by before anything else of it.
const INITIALIZE: &str = "_initialize";

/// A call whose function was found and whose arguments fit.
pub(super) struct CoreCall {
    name: String,
    arguments: Vec<Val>,
    results: usize,
}

impl CoreCall {
    /// Finds what `NAME(ARGUMENTS)` calls.
    pub(super) fn parse(plugin: &str, module: &Module, call: &str) -> Result<Self> {
        let (name, arguments) = match call.find('(') {
            Some(start) => call.split_at(start),
            None => (call, "()"),
        };
        let name = name.trim();
        let Some(ExternType::Func(ty)) = module.get_export(name) else {
            let functions: Vec<(String, FuncType)> = functions(module).collect();
            let signatures = functions.iter().map(|(name, ty)| signature(name, ty));
            return Err(not_found(plugin, signatures, functions.iter().map(|(name, _)| name.as_str()), name));
        };
        let arguments = parse_arguments(&ty, arguments.trim()).map_err(|error| {
            Problem::new(ProblemKind::Call, format!("the arguments do not fit `{name}`"))
                .because(error)
                .help_with(format!("it is {}; arguments are numbers: 1, -2.5, 0xff", signature(name, &ty)))
        })?;
        Ok(Self { name: name.to_owned(), arguments, results: ty.results().len() })
    }

    /// Makes the call. `is_first` says that nothing of this instance was called before.
    pub(super) async fn make(
        &self,
        store: &mut Store<GuestState>,
        instance: Instance,
        is_first: IsFirst,
    ) -> wasmtime::Result<Vec<Val>> {
        // A command does by itself what a library has to be told.
        if is_first == IsFirst::Yes
            && ![INITIALIZE, "_start"].contains(&self.name.as_str())
            && let Some(initialize) = instance.get_func(&mut *store, INITIALIZE)
        {
            initialize.typed::<(), ()>(&*store)?.call_async(&mut *store, ()).await?;
        }
        let function = instance.get_func(&mut *store, &self.name);
        let function = function.ok_or_else(|| format_err!("the function `{}` was lost", self.name))?;
        let mut results = vec![Val::I32(0); self.results];
        function.call_async(store, &self.arguments, &mut results).await?;
        Ok(results)
    }

    /// The results, each on a line.
    pub(super) fn show(&self, results: &[Val]) -> Result<Option<String>> {
        let lines: Option<Vec<String>> = results.iter().map(text).collect();
        let lines = lines.ok_or_else(|| {
            Problem::new(ProblemKind::Call, format!("`{}` returned something that has no text form", self.name))
                .because_text("references have no text form")
        })?;
        Ok((!lines.is_empty()).then(|| lines.join("\n")))
    }
}

/// Whether a call is the first one of its instance.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum IsFirst {
    Yes,
    No,
}

fn functions(module: &Module) -> impl Iterator<Item = (String, FuncType)> {
    module.exports().filter_map(|export| match export.ty() {
        ExternType::Func(ty) => Some((export.name().to_owned(), ty)),
        _ => None,
    })
}

/// The function with its types, as `add(i32, i32) -> i32`.
fn signature(name: &str, ty: &FuncType) -> String {
    format!("{name}{}", compiled_signature(ty))
}

fn parse_arguments(ty: &FuncType, list: &str) -> anyhow::Result<Vec<Val>> {
    let list = list.strip_prefix('(').and_then(|list| list.strip_suffix(')')).context("the parenthesis is not closed")?;
    let words: Vec<&str> = if list.trim().is_empty() { Vec::new() } else { list.split(',').map(str::trim).collect() };
    if words.len() != ty.params().len() {
        return Err(anyhow!("{} are given, {} are needed", words.len(), ty.params().len()));
    }
    words.into_iter().zip(ty.params()).map(|(word, ty)| value(&ty, word)).collect()
}

fn value(ty: &ValType, word: &str) -> anyhow::Result<Val> {
    let value = match ty {
        ValType::I32 => integer(word).and_then(|number| {
            let unsigned = || u32::try_from(number).map(u32::cast_signed);
            i32::try_from(number).or_else(|_| unsigned()).ok().map(Val::I32)
        }),
        ValType::I64 => integer(word).and_then(|number| {
            let unsigned = || u64::try_from(number).map(u64::cast_signed);
            i64::try_from(number).or_else(|_| unsigned()).ok().map(Val::I64)
        }),
        ValType::F32 => word.parse::<f32>().ok().map(Val::from),
        ValType::F64 => word.parse::<f64>().ok().map(Val::from),
        ValType::V128 | ValType::Ref(_) => return Err(anyhow!("a value of the type {ty} has no text form")),
    };
    value.with_context(|| format!("`{word}` is not of the type {ty}"))
}

/// A number with or without a sign, in decimal digits, or in hexadecimal ones after `0x`.
fn integer(word: &str) -> Option<i128> {
    let (sign, digits) = word.strip_prefix('-').map_or((1, word), |digits| (-1, digits));
    let (radix, digits) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (16, digits),
        None => (10, digits),
    };
    // The standard library would take one more sign.
    let number = if digits.starts_with(['-', '+']) { None } else { i128::from_str_radix(digits, radix).ok() };
    number.and_then(|number| number.checked_mul(sign))
}

fn text(value: &Val) -> Option<String> {
    match value {
        Val::I32(number) => Some(number.to_string()),
        Val::I64(number) => Some(number.to_string()),
        Val::F32(bits) => Some(f32::from_bits(*bits).to_string()),
        Val::F64(bits) => Some(f64::from_bits(*bits).to_string()),
        Val::V128(number) => Some(number.as_u128().to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(ty: &ValType, word: &str) -> Option<String> {
        value(ty, word).ok().as_ref().and_then(text)
    }

    #[test]
    fn a_number_is_what_its_type_can_hold() {
        let cases = [
            (ValType::I32, "4294967295", Some("-1")),
            (ValType::I32, "-2147483648", Some("-2147483648")),
            (ValType::I32, "0x7f", Some("127")),
            (ValType::I32, "-0X10", Some("-16")),
            (ValType::I32, "4294967296", None),
            (ValType::I32, "-2147483649", None),
            (ValType::I32, "1.5", None),
            (ValType::I32, "--1", None),
            (ValType::I32, "-+1", None),
            (ValType::I32, "", None),
            (ValType::I64, "18446744073709551615", Some("-1")),
            (ValType::I64, "18446744073709551616", None),
            (ValType::I64, "999999999999999999999999999999999999999999", None),
            (ValType::F32, "-2.5", Some("-2.5")),
            (ValType::F64, "1e3", Some("1000")),
            (ValType::F64, "two", None),
            (ValType::V128, "1", None),
        ];
        for (ty, word, expected) in cases {
            assert_eq!(parsed(&ty, word).as_deref(), expected, "{ty} {word}");
        }
    }
}
