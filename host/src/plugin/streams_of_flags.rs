//! Streams and futures with lists of flags, from one part of a plugin to another: wasmtime hands them over by way of values in which
//! each flag that is set is a string, and counts far less for them than they take.

use wasmparser::component_types::{ComponentDefinedType, ComponentDefinedTypeId, ComponentValType};
use wasmparser::types::TypesRef;
use wasmparser::{CanonicalFunction, Parser, Payload, Validator, WasmFeatures};

use super::flags_weight::{TYPES_MAX, WORST, of_names};
use crate::problem::{Problem, ProblemKind, Result};

/// How many times what is counted they may take. With the 16 MiB that are counted at most that is 64 MiB.
const WEIGHT_MAX: usize = 4;

/// Fails if a plugin has such.
pub(super) fn check(name: &str, weight: usize) -> Result<()> {
    if weight <= WEIGHT_MAX {
        return Ok(());
    }
    let what = format!("{name} would take too much memory while it runs");
    let why = format!("it has a stream or a future with lists of flags, which take {weight} times what is counted for them");
    let help = "hand the flags over as numbers: one that is set takes a string as it is";
    Err(Problem::new(ProblemKind::Limit, what).because_text(why).help_with(help))
}

/// What wasmtime's count for the heaviest of them is to be multiplied by; 1 if a component has none.
pub(super) fn weight_in(component: &[u8]) -> wasmparser::Result<usize> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut heaviest = 1;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        validator.payload(&payload)?;
        let Payload::ComponentCanonicalSection(section) = &payload else { continue };
        let Some(types) = validator.types(0) else { continue };
        for function in section.clone() {
            let (CanonicalFunction::StreamRead { ty, .. }
            | CanonicalFunction::StreamWrite { ty, .. }
            | CanonicalFunction::FutureRead { ty, .. }
            | CanonicalFunction::FutureWrite { ty, .. }) = function?
            else {
                continue;
            };
            let payload = match &types[types.component_defined_type_at(ty)] {
                ComponentDefinedType::Stream { ty: Some(payload), .. } => (*payload, true),
                ComponentDefinedType::Future { ty: Some(payload), .. } => (*payload, false),
                _ => continue,
            };
            heaviest = heaviest.max(Walk { types, left: TYPES_MAX }.weight(payload.0, payload.1));
        }
    }
    Ok(heaviest)
}

/// A walk through a type, which may be made of any number of others.
struct Walk<'a> {
    types: TypesRef<'a>,
    left: usize,
}

impl Walk<'_> {
    fn weight(&mut self, ty: ComponentValType, is_repeated: bool) -> usize {
        match ty {
            ComponentValType::Primitive(_) => 1,
            ComponentValType::Type(id) => self.of_type(id, is_repeated),
        }
    }

    fn of_type(&mut self, id: ComponentDefinedTypeId, is_repeated: bool) -> usize {
        let Some(left) = self.left.checked_sub(1) else { return WORST };
        self.left = left;
        let (inner, is_repeated): (Vec<ComponentValType>, bool) = match &self.types[id] {
            ComponentDefinedType::Flags(names) if is_repeated => return of_names(names.iter().map(|name| name.as_str())),
            ComponentDefinedType::List { element, .. } | ComponentDefinedType::FixedLengthList { element, .. } => {
                (vec![*element], true)
            }
            ComponentDefinedType::Map { key, value, .. } => (vec![*key, *value], true),
            ComponentDefinedType::Record(record) => (record.fields.values().copied().collect(), is_repeated),
            ComponentDefinedType::Tuple(tuple) => (tuple.types.to_vec(), is_repeated),
            ComponentDefinedType::Variant(variant) => {
                (variant.cases.values().filter_map(|case| case.ty).collect(), is_repeated)
            }
            ComponentDefinedType::Option { ty, .. } => (vec![*ty], is_repeated),
            ComponentDefinedType::Result { ok, err, .. } => (ok.iter().chain(err).copied().collect(), is_repeated),
            _ => return 1,
        };
        inner.into_iter().map(|ty| self.weight(ty, is_repeated)).max().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(flags: &str, payload: &str) -> usize {
        let text = format!(
            r#"(component
                (type $flags (flags {flags}))
                (export $named "flags" (type $flags))
                (type $payload {payload})
                (core module $m (memory (export "memory") 1))
                (core instance $i (instantiate $m))
                (core func $write (canon {}.write $payload async (memory (core memory $i "memory")))))"#,
            if payload.starts_with("(stream") { "stream" } else { "future" }
        );
        weight_in(&wat::parse_str(text).expect("a valid test component")).expect("a valid test component")
    }

    #[test]
    fn flags_in_streams_took_twenty_times_what_was_counted() {
        let letters: Vec<String> = ('a'..='z').map(|letter| format!("\"{letter}\"")).collect();
        let letters = letters.join(" ");
        let refused = |payload: &str| check("test", weight(&letters, payload)).is_err();
        for payload in
            ["(stream $named)", "(stream (list $named))", "(stream (option (result $named)))", "(future (list $named))"]
        {
            assert!(refused(payload), "{payload}");
        }
        // There is one of them.
        for payload in ["(future $named)", "(stream u8)", "(stream (list u32))", "(future (list string))"] {
            assert!(!refused(payload), "{payload}");
        }
        assert!(check("test", weight("\"a-name-that-is-no-shorter-than-others\"", "(stream $named)")).is_ok());
    }

    #[test]
    fn a_type_that_is_larger_than_can_be_looked_at_is_refused() {
        let pairs: String = (1..15).map(|number| format!("(type $t{number} (tuple $t{0} $t{0}))", number - 1)).collect();
        let text = format!(
            r#"(component
                (type $t0 (tuple u8 u8)) {pairs}
                (type $stream (stream $t14))
                (core module $m (memory (export "memory") 1))
                (core instance $i (instantiate $m))
                (core func $write (canon stream.write $stream async (memory (core memory $i "memory")))))"#
        );
        let Ok(component) = wat::parse_str(text) else { panic!("a valid test component") };
        assert!(weight_in(&component).is_ok_and(|weight| check("test", weight).is_err()));
    }
}
