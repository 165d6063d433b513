//! A memory for a core module that has none: the adapter for WASI preview 1 keeps its own state there, even for a module that
//! has nothing to keep.

use std::fmt;

use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

/// A section with one memory that has no pages yet: its number, its length, one entry, no maximum, no pages.
const MEMORY_SECTION: [u8; 5] = [5, 3, 1, 0, 0];

/// An export of memory 0, called as WASI preview 1 has it.
const EXPORT: &[u8] = b"\x06memory\x02\x00";

const MEMORY: u8 = 5;
const EXPORTS: u8 = 7;

/// The sections of a module in their order, but for custom ones, which may be anywhere.
const ORDER: [u8; 13] = [1, 2, 3, 4, MEMORY, 13, 6, EXPORTS, 8, 9, 12, 10, 11];

/// A memory that WASI preview 1 cannot get at, and why.
#[derive(Debug)]
pub(super) struct OutOfReach(&'static str);

impl fmt::Display for OutOfReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for OutOfReach {}

/// The module with a memory that it exports; none if it has one already.
pub(super) fn exported(module: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    let (mut has_memory, mut exported) = (false, None);
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    has_memory |= matches!(import?.ty, TypeRef::Memory(_));
                }
            }
            Payload::MemorySection(memories) => has_memory |= memories.count() > 0,
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if export.name == "memory" {
                        exported = Some(export.kind);
                    }
                }
            }
            _ => {}
        }
    }
    match (exported, has_memory) {
        (Some(ExternalKind::Memory), _) => Ok(None),
        (Some(_), _) => Err(OutOfReach("what it exports as `memory` is no memory").into()),
        (None, true) => {
            Err(OutOfReach("it has a memory and does not export it as `memory`, where WASI preview 1 looks for it").into())
        }
        (None, false) => add(module).map(Some),
    }
}

/// The module with an empty memory, exported. What is there already is copied as it stands.
fn add(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(module.len() + MEMORY_SECTION.len() + EXPORT.len() + 16);
    let mut copied = 0;
    let mut due: &[u8] = &[MEMORY, EXPORTS];
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::Version { range, .. } = &payload {
            out.extend_from_slice(&module[range.clone()]);
            copied = range.end;
        }
        let Some((id, range)) = payload.as_section() else { continue };
        while let [next, rest @ ..] = due
            && is_before(*next, id)
        {
            push_new(&mut out, *next);
            due = rest;
        }
        match &payload {
            Payload::ExportSection(exports) => {
                let entries = module[range.clone()].split_inclusive(|byte| byte & 0x80 == 0).next().map_or(0, <[u8]>::len);
                push_exports(&mut out, exports.count().saturating_add(1), &module[range.start + entries..range.end]);
                due = &[];
            }
            _ => out.extend_from_slice(&module[copied..range.end]),
        }
        copied = range.end;
    }
    for next in due {
        push_new(&mut out, *next);
    }
    Ok(out)
}

/// Whether a section has its place before another one; a custom section has none.
fn is_before(section: u8, other: u8) -> bool {
    let place = |id| ORDER.iter().position(|known| *known == id);
    place(section) < place(other)
}

fn push_new(out: &mut Vec<u8>, section: u8) {
    match section {
        MEMORY => out.extend_from_slice(&MEMORY_SECTION),
        _ => push_exports(out, 1, &[]),
    }
}

/// The section of exports: those that are there already, and the memory.
fn push_exports(out: &mut Vec<u8>, count: u32, entries: &[u8]) {
    let mut content = Vec::with_capacity(entries.len() + EXPORT.len() + 5);
    push_number(&mut content, u64::from(count));
    content.extend_from_slice(entries);
    content.extend_from_slice(EXPORT);
    out.push(EXPORTS);
    push_number(out, u64::try_from(content.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(&content);
}

/// A number in LEB128, as all lengths of WebAssembly are.
fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use wasmparser::Validator;

    use super::*;

    fn changed(text: &str) -> anyhow::Result<Option<Vec<u8>>> {
        exported(&wat::parse_str(text).expect("a valid test module"))
    }

    #[test]
    fn a_module_without_a_memory_gets_one_and_stays_valid() {
        let many =
            format!("(module (func $f) {})", (0..200).map(|n| format!(r#"(export "f{n}" (func $f))"#)).collect::<String>());
        let modules = [
            "(module)",
            "(module (func))",
            r#"(module (func (export "_start")))"#,
            r#"(module (import "a" "b" (func)) (table 1 funcref) (tag) (global i32 (i32.const 0)) (func $f (export "_start"))
                (start $f) (elem (i32.const 0) $f))"#,
            r#"(module (@custom "a" (before first) "x") (func (export "f")) (@custom "b" (after export) "y")
                (@custom "c" (after last) "z"))"#,
            &many,
        ];
        for text in modules {
            let module = changed(text).expect("it can be given one").expect("it has none");
            let error = Validator::new().validate_all(&module).err();
            assert!(error.is_none(), "{text}: {error:?}");
            let names = |module: &[u8]| {
                let mut names = Vec::new();
                for payload in Parser::new(0).parse_all(module) {
                    match payload.expect("a valid module") {
                        Payload::ExportSection(exports) => {
                            names.extend(exports.into_iter().map(|export| export.expect("a valid export").name.to_owned()));
                        }
                        Payload::CustomSection(section) => names.push(section.name().to_owned()),
                        _ => {}
                    }
                }
                names.sort();
                names
            };
            let mut before = names(&wat::parse_str(text).expect("a valid test module"));
            before.push("memory".to_owned());
            before.sort();
            assert_eq!(names(&module), before, "{text}");
        }
    }

    #[test]
    fn a_module_that_exports_its_memory_stays_as_it_is() {
        assert!(changed(r#"(module (memory (export "memory") 1))"#).expect("nothing is wrong").is_none());
    }

    #[test]
    fn a_memory_that_cannot_be_used_is_told() {
        let why = |text| changed(text).expect_err("it cannot be used").to_string();
        assert!(why("(module (memory 1))").contains("does not export it as `memory`"));
        assert!(why(r#"(module (import "a" "b" (memory 1)))"#).contains("does not export it as `memory`"));
        assert!(why(r#"(module (func (export "memory")))"#).contains("is no memory"));
    }
}
