//! What the instances of a plugin hold before any of its code runs, beside its memories and tables: wasmtime counts their number, and
//! nothing bounds the size of one.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef, Encoding, Instance,
    Parser, Payload,
};

use crate::problem::{Problem, ProblemKind, Result};

/// Bytes that they may hold together. 16 MiB: several times what the largest programs need that are in use.
const BYTES_MAX: u64 = 16 << 20;

/// Bytes of an instance, whatever is in it.
const INSTANCE_BYTES: u64 = 2048;

/// Bytes of a global variable.
const GLOBAL_BYTES: u64 = 16;

/// Bytes of a function, a table, a memory or a tag, imported or not, and of what a component hands from one to the other: 64 are more
/// than each of them has.
const ITEM_BYTES: u64 = 64;

/// A module or a component that is being read.
#[derive(Default)]
struct Scope {
    is_component: bool,
    /// What an instance of it takes, with all that are made for it.
    bytes: u64,
    /// The same of the modules and the components that it can name, by their numbers.
    modules: Vec<u64>,
    components: Vec<u64>,
}

impl Scope {
    fn add(&mut self, count: u32, bytes: u64) {
        self.bytes = self.bytes.saturating_add(u64::from(count).saturating_mul(bytes));
    }
}

/// Fails if that is more than it may be.
pub(super) fn check(name: &str, bytes: u64) -> Result<()> {
    if bytes <= BYTES_MAX {
        return Ok(());
    }
    let what = format!("{name} would take too much memory before any of it runs");
    let why = format!("its instances hold {} MiB of globals and the like; {} MiB is the most", bytes >> 20, BYTES_MAX >> 20);
    Err(Problem::new(ProblemKind::Limit, what)
        .because_text(why)
        .help_with("build it with fewer global variables, or of fewer instances: no compiler makes so many by itself"))
}

/// An upper bound of what an instance of valid WebAssembly takes.
pub(super) fn of(wasm: &[u8]) -> wasmparser::Result<u64> {
    let mut scopes = Vec::new();
    let mut largest = Largest::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { encoding, .. } => {
                scopes.push(Scope { is_component: encoding == Encoding::Component, bytes: INSTANCE_BYTES, ..Scope::default() });
            }
            Payload::End(_) => {
                let Some(ended) = scopes.pop() else { continue };
                let Some(outer) = scopes.last_mut() else { return Ok(ended.bytes) };
                outer.define(&ended, &mut largest);
            }
            payload => {
                let Some((scope, above)) = scopes.split_last_mut() else { continue };
                scope.add_items(&payload)?;
                scope.add_instances(&payload, largest)?;
                scope.know_names(&payload, above, largest)?;
            }
        }
    }
    Ok(0)
}

/// The largest of any module and of any component so far: for one that comes from elsewhere, of which it is not known which it is.
#[derive(Clone, Copy, Default)]
struct Largest {
    module: u64,
    component: u64,
}

impl Scope {
    /// One that was read takes the next number here.
    fn define(&mut self, ended: &Self, largest: &mut Largest) {
        if ended.is_component {
            largest.component = ended.bytes.max(largest.component);
            self.components.push(ended.bytes);
        } else {
            largest.module = ended.bytes.max(largest.module);
            self.modules.push(ended.bytes);
        }
    }

    fn add_items(&mut self, payload: &Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    import?;
                    self.add(1, ITEM_BYTES);
                }
            }
            Payload::GlobalSection(section) => self.add(section.count(), GLOBAL_BYTES),
            Payload::FunctionSection(section) => self.add(section.count(), ITEM_BYTES),
            Payload::TableSection(section) => self.add(section.count(), ITEM_BYTES),
            Payload::MemorySection(section) => self.add(section.count(), ITEM_BYTES),
            Payload::TagSection(section) => self.add(section.count(), ITEM_BYTES),
            Payload::ComponentCanonicalSection(section) => self.add(section.count(), ITEM_BYTES),
            _ => {}
        }
        Ok(())
    }

    fn add_instances(&mut self, payload: &Payload<'_>, largest: Largest) -> wasmparser::Result<()> {
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        self.add(1, get(&self.modules, module_index, largest.module));
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        self.add(1, get(&self.components, component_index, largest.component));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What gets a number here and is defined elsewhere.
    fn know_names(&mut self, payload: &Payload<'_>, above: &[Self], largest: Largest) -> wasmparser::Result<()> {
        match payload {
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    match alias? {
                        ComponentAlias::InstanceExport { kind, .. } => self.know(kind, largest),
                        ComponentAlias::Outer { kind, count, index } => self.know_outer(kind, above, (count, index), largest),
                        ComponentAlias::CoreInstanceExport { .. } => {}
                    }
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    match import?.ty {
                        ComponentTypeRef::Module(_) => self.know(ComponentExternalKind::Module, largest),
                        ComponentTypeRef::Component(_) => self.know(ComponentExternalKind::Component, largest),
                        _ => {}
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    self.know(export?.kind, largest);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Something gets a number here of which it is not known what it is.
    fn know(&mut self, kind: ComponentExternalKind, largest: Largest) {
        match kind {
            ComponentExternalKind::Module => self.modules.push(largest.module),
            ComponentExternalKind::Component => self.components.push(largest.component),
            _ => {}
        }
    }

    /// The same for what a component above has under a number.
    fn know_outer(&mut self, kind: ComponentOuterAliasKind, above: &[Self], place: (u32, u32), largest: Largest) {
        let (count, index) = place;
        let from = outer(self, above, count);
        match kind {
            ComponentOuterAliasKind::CoreModule => {
                let bytes = from.map_or(largest.module, |from| get(&from.modules, index, largest.module));
                self.modules.push(bytes);
            }
            ComponentOuterAliasKind::Component => {
                let bytes = from.map_or(largest.component, |from| get(&from.components, index, largest.component));
                self.components.push(bytes);
            }
            ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type => {}
        }
    }
}

/// The component so many levels above; what is being read is none above itself.
fn outer<'a>(own: &'a Scope, above: &'a [Scope], count: u32) -> Option<&'a Scope> {
    match usize::try_from(count).ok()? {
        0 => Some(own),
        count => above.len().checked_sub(count).and_then(|index| above.get(index)),
    }
}

fn get(known: &[u64], index: u32, otherwise: u64) -> u64 {
    usize::try_from(index).ok().and_then(|index| known.get(index)).copied().unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        let wasm = wat::parse_str(text).expect("valid text");
        check("test.wat", of(&wasm).expect("it is read")).is_err()
    }

    fn globals(count: usize) -> String {
        "(global i64 (i64.const 0))".repeat(count)
    }

    #[test]
    fn many_small_instances_were_gigabytes() {
        let module = format!("(core module $m {})", globals(10_000));
        let instances = |count: usize| "(core instance (instantiate $m))".repeat(count);
        assert!(!refused(&format!("(component {module} {})", instances(50))));
        assert!(refused(&format!("(component {module} {})", instances(200))));
        assert!(refused(&format!("(component (core module $m) {})", instances(9000))));
        assert!(refused(&format!("(module {})", globals(2_000_000))));
        assert!(!refused(&format!("(module {})", globals(100_000))));
    }

    #[test]
    fn components_in_components_count_as_often_as_they_are_made() {
        let module = format!("(core module $m {})", globals(1_000));
        // Ten of ten of ten, by names of its own and by those of the component above.
        let nested = |import: &str| {
            format!(
                "(component {module}
                   (component $a {import} {a})
                   (component $b (alias outer 1 $a (component $a)) {b})
                   {c})",
                a = "(core instance (instantiate $m))".repeat(10),
                b = "(instance (instantiate $a))".repeat(10),
                c = "(instance (instantiate $b))".repeat(20),
            )
        };
        assert!(refused(&nested("(alias outer 1 $m (core module $m))")));
        assert!(!refused(&nested("(core module $m)")), "each of its own is empty");
        let few = nested("(alias outer 1 $m (core module $m))").replacen("(instance (instantiate $b))", "", 19);
        assert!(!refused(&few));
    }

    #[test]
    fn a_module_that_is_handed_over_counts_as_the_largest() {
        let text = format!(
            "(component
               (core module $m {})
               (component $c (import \"m\" (core module $m)) {})
               (instance (instantiate $c (with \"m\" (core module $m)))))",
            globals(10_000),
            "(core instance (instantiate $m))".repeat(200),
        );
        assert!(refused(&text));
    }
}
