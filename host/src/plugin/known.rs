//! What is known of a plugin itself, beside its code: its types, and the names of what it imports and exports. wasmtime, and whoever
//! describes a plugin, keep that in memory, at up to eighty times what it takes in the file.

use wasmparser::{
    ComponentDefinedType, ComponentType, ComponentTypeDeclaration, CompositeInnerType, CoreType, InstanceTypeDeclaration,
    ModuleTypeDeclaration, Parser, Payload, RecGroup,
};

use crate::problem::{Problem, ProblemKind, Result};

/// Bytes that may be known of a plugin. 64 MiB: more than ten times what the largest programs need that are in use.
const BYTES_MAX: u64 = 64 << 20;

/// Bytes that are known of a type, and of each part of it. By measure it is 700 and 70 of a structure.
const TYPE_BYTES: u64 = 768;
const TYPE_PART_BYTES: u64 = 80;

/// Bytes that are known of an export or an import, and how many times its name is kept.
const NAME_BYTES: u64 = 512;
const NAME_COPIES: u64 = 4;

/// Fails if more would be known of a plugin than may be, and before it is. What is not valid counts up to where it is not: whoever
/// validates it comes no further, and says what is wrong.
pub(super) fn check(name: &str, wasm: &[u8]) -> Result<()> {
    let mut known = Known(0);
    for payload in Parser::new(0).parse_all(wasm) {
        let read = payload.and_then(|payload| known.add_payload(&payload));
        if known.0 > BYTES_MAX {
            let most = BYTES_MAX >> 20;
            return Err(Problem::new(ProblemKind::Limit, format!("{name} would take too much memory before any of it runs"))
                .because_text(format!("its types and the names of what it exports and imports take more than {most} MiB"))
                .help_with("build it with fewer types or exports: no compiler makes so many by itself"));
        }
        if read.is_err() {
            break;
        }
    }
    Ok(())
}

/// Bytes that are known so far.
struct Known(u64);

impl Known {
    fn add(&mut self, bytes: u64) {
        self.0 = self.0.saturating_add(bytes);
    }

    fn add_name(&mut self, name: &str) {
        self.add(NAME_BYTES + NAME_COPIES * number(name.len()));
    }

    fn add_type(&mut self, parts: usize) {
        self.add(TYPE_BYTES + TYPE_PART_BYTES * number(parts));
    }

    fn add_payload(&mut self, payload: &Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section.clone() {
                    self.add_group(&group?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    let import = import?;
                    self.add_name(import.module);
                    self.add_name(import.name);
                }
            }
            Payload::ExportSection(section) => {
                for export in section.clone() {
                    self.add_name(export?.name);
                }
            }
            Payload::CoreTypeSection(section) => {
                for ty in section.clone() {
                    self.add_core_type(&ty?);
                }
            }
            Payload::ComponentTypeSection(section) => {
                for ty in section.clone() {
                    self.add_component_type(&ty?);
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    self.add_name(import?.name.name);
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    self.add_name(export?.name.name);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_group(&mut self, group: &RecGroup) {
        for sub in group.types() {
            self.add_type(match &sub.composite_type.inner {
                CompositeInnerType::Func(function) => function.params().len() + function.results().len(),
                CompositeInnerType::Struct(structure) => structure.fields.len(),
                CompositeInnerType::Array(_) | CompositeInnerType::Cont(_) => 1,
            });
        }
    }

    fn add_core_type(&mut self, ty: &CoreType<'_>) {
        match ty {
            CoreType::Rec(group) => self.add_group(group),
            CoreType::Module(declarations) => {
                self.add_type(declarations.len());
                for declaration in declarations {
                    match declaration {
                        ModuleTypeDeclaration::Type(group) => self.add_group(group),
                        ModuleTypeDeclaration::Export { name, .. } => self.add_name(name),
                        ModuleTypeDeclaration::Import(import) => {
                            self.add_name(import.module);
                            self.add_name(import.name);
                        }
                        ModuleTypeDeclaration::OuterAlias { .. } => {}
                    }
                }
            }
        }
    }

    /// With all types that are in it. Those that are in each other are not many: the parser takes no more.
    fn add_component_type(&mut self, ty: &ComponentType<'_>) {
        match ty {
            ComponentType::Defined(defined) => self.add_type(match defined {
                ComponentDefinedType::Record(fields) => fields.len(),
                ComponentDefinedType::Variant(cases) => cases.len(),
                ComponentDefinedType::Tuple(types) => types.len(),
                ComponentDefinedType::Flags(names) | ComponentDefinedType::Enum(names) => names.len(),
                _ => 1,
            }),
            ComponentType::Func(function) => self.add_type(function.params.len() + 1),
            ComponentType::Resource { .. } => self.add_type(1),
            ComponentType::Component(declarations) => {
                self.add_type(0);
                for declaration in declarations {
                    match declaration {
                        ComponentTypeDeclaration::CoreType(ty) => self.add_core_type(ty),
                        ComponentTypeDeclaration::Type(ty) => self.add_component_type(ty),
                        ComponentTypeDeclaration::Alias(_) => self.add_type(0),
                        ComponentTypeDeclaration::Export { name, .. } => self.add_declared(name.name),
                        ComponentTypeDeclaration::Import(import) => self.add_declared(import.name.name),
                    }
                }
            }
            ComponentType::Instance(declarations) => {
                self.add_type(0);
                for declaration in declarations {
                    match declaration {
                        InstanceTypeDeclaration::CoreType(ty) => self.add_core_type(ty),
                        InstanceTypeDeclaration::Type(ty) => self.add_component_type(ty),
                        InstanceTypeDeclaration::Alias(_) => self.add_type(0),
                        InstanceTypeDeclaration::Export { name, .. } => self.add_declared(name.name),
                    }
                }
            }
        }
    }

    /// What a type says of an import or export, which takes as much as a type.
    fn add_declared(&mut self, name: &str) {
        self.add_type(0);
        self.add(NAME_COPIES * number(name.len()));
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{componentize, describe_bytes};

    fn refused(text: &str) -> bool {
        check("test.wat", &wat::parse_str(text).expect("valid text")).is_err()
    }

    #[test]
    fn types_and_names_of_a_plugin_were_on_no_books() {
        let types = |count: usize, fields: usize| {
            let fields = "(field i32)".repeat(fields);
            (0..count).map(|number| format!("(type (struct (field (ref null {number})) {fields}))")).collect::<String>()
        };
        assert!(!refused(&format!("(module (type (struct)) {})", types(10_000, 7))));
        assert!(refused(&format!("(module (type (struct)) {})", types(60_000, 7))));
        assert!(refused(&format!("(module (type (struct)) {})", types(1_000, 1_000))));
        let exports = |count: usize, length: usize| {
            (0..count).map(|number| format!("(export \"{number:0length$}\" (func $f))")).collect::<String>()
        };
        assert!(!refused(&format!("(module (func $f) {})", exports(20_000, 60))));
        assert!(refused(&format!("(module (func $f) {})", exports(40_000, 400))));
        let tuples = "(type (tuple u8 u8 u8))".repeat(80_000);
        assert!(refused(&format!("(component {tuples})")));
    }

    /// Types in types in types: instances, components and modules.
    #[test]
    fn types_within_types_of_a_plugin_were_on_no_books() {
        // Long names, since few of them are read from text in no time.
        let many = |count: usize| (0..count).map(|number| format!("(export \"a{number:09000}\" (func))")).collect::<String>();
        let kinds: [fn(String) -> String; 3] = [
            |inner| format!("(type (instance (type (instance {inner}))))"),
            |inner| format!("(type (component (type (component {inner}))))"),
            |inner| format!("(type (component (core type (module {inner}))))"),
        ];
        for kind in kinds {
            assert!(!refused(&format!("(component {})", kind(many(1_000)))));
            assert!(refused(&format!("(component {})", kind(many(2_000)))));
        }
    }

    /// It took eighty times as much as the file.
    #[test]
    fn what_was_only_looked_at_took_as_much_as_it_liked() {
        let wasm = wat::parse_str(format!("(module {})", "(type (func))".repeat(200_000))).expect("valid text");
        // One that is damaged at its end counts as far as it can be read.
        let mut damaged = wasm.clone();
        damaged.extend_from_slice(&[1, 2, 3]);
        for wasm in [wasm, damaged] {
            let described = describe_bytes("test.wasm", &wasm).expect_err("it is too much");
            let made = componentize("test.wasm", &wasm, None).expect_err("it is too much");
            for problem in [described, made] {
                assert_eq!(problem.kind(), ProblemKind::Limit, "{problem:?}");
            }
        }
    }
}
