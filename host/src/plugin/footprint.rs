//! What a plugin and its instances hold beside its memories and tables: before any of its code runs, and of stacks while it does.
//! wasmtime counts the instances, and nothing bounds the size of one.

use std::ops::Add;

use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentType,
    ComponentTypeRef, ElementItems, ElementKind, Encoding, Instance, Parser, Payload,
};

use super::machine::EngineKind;
use crate::problem::{Problem, ProblemKind, Result};

/// Bytes that they may hold together. 16 MiB: several times what the largest programs need that are in use.
const BYTES_MAX: u64 = 16 << 20;

/// Bytes of a resource type, of which each instance has its own.
const RESOURCE_BYTES: u64 = 256;

/// Bytes of an instance, whatever is in it.
const INSTANCE_BYTES: u64 = 2048;

/// Bytes of a global variable.
const GLOBAL_BYTES: u64 = 16;

/// Bytes of a function, a table, a memory or a tag, imported or not, and of what a component hands from one to the other: 64 are more
/// than each of them has.
const ITEM_BYTES: u64 = 64;

/// Bytes of an element of a passive segment, of which each instance has its own.
const ELEMENT_BYTES: u64 = 16;

/// Instances of asynchronous components that a plugin is made of. 16: each may have a call that waits, with a stack of up to 2 MiB;
/// what is composed by hand has some few.
const STACKS_MAX: u64 = 16;

/// What instances hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Footprint {
    bytes: u64,
    /// Instances that functions of others are called in, each on a stack of its own while they wait.
    stacks: u64,
}

impl Footprint {
    const INSTANCE: Self = Self { bytes: INSTANCE_BYTES, stacks: 0 };
    const STACK: Self = Self { bytes: 0, stacks: 1 };

    fn bytes(bytes: u64) -> Self {
        Self { bytes, ..Self::default() }
    }

    fn larger(self, other: Self) -> Self {
        Self { bytes: self.bytes.max(other.bytes), stacks: self.stacks.max(other.stacks) }
    }

    /// Fails if it is more than it may be.
    pub(super) fn check(self, name: &str, engine: EngineKind) -> Result<()> {
        let refused = |when: &str, why: String, help: &str| {
            let what = format!("{name} would take too much memory {when}");
            Err(Problem::new(ProblemKind::Limit, what).because_text(why).help_with(help))
        };
        if self.bytes > BYTES_MAX {
            let (bytes, most) = (self.bytes >> 20, BYTES_MAX >> 20);
            let why = format!("its instances hold {bytes} MiB of globals and the like; {most} MiB is the most");
            let help = "build it with fewer global variables, or of fewer instances: no compiler makes so many by itself";
            return refused("before any of it runs", why, help);
        }
        // Where nothing is asynchronous there is one call at a time.
        if engine == EngineKind::Concurrent && self.stacks > STACKS_MAX {
            let stacks = self.stacks;
            let why = format!(
                "it is made of {stacks} instances of components, each of which needs a stack; {STACKS_MAX} are the most"
            );
            return refused("while it runs", why, "compose it of fewer components");
        }
        Ok(())
    }
}

impl Add for Footprint {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), stacks: self.stacks.saturating_add(other.stacks) }
    }
}

/// A module or a component that is being read.
#[derive(Default)]
struct Scope {
    is_component: bool,
    /// Whether it has functions that others call.
    has_functions: bool,
    /// What an instance of it takes, with all that are made for it.
    held: Footprint,
    /// The same of the modules and the components that it can name, by their numbers.
    modules: Vec<Footprint>,
    components: Vec<Footprint>,
}

impl Scope {
    fn add(&mut self, count: u32, bytes: u64) {
        self.hold(Footprint::bytes(u64::from(count).saturating_mul(bytes)));
    }

    fn hold(&mut self, more: Footprint) {
        self.held = self.held + more;
    }
}

/// An upper bound of what an instance of valid WebAssembly takes.
pub(super) fn of(wasm: &[u8]) -> wasmparser::Result<Footprint> {
    let mut scopes = Vec::new();
    let mut largest = Largest::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { encoding, .. } => {
                let is_component = encoding == Encoding::Component;
                scopes.push(Scope { is_component, held: Footprint::INSTANCE, ..Scope::default() });
            }
            Payload::End(_) => {
                let Some(mut ended) = scopes.pop() else { continue };
                if ended.has_functions {
                    ended.hold(Footprint::STACK);
                }
                let Some(outer) = scopes.last_mut() else { return Ok(ended.held) };
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
    Ok(Footprint::default())
}

/// The largest of any module and of any component so far: for one that comes from elsewhere, of which it is not known which it is.
#[derive(Clone, Copy, Default)]
struct Largest {
    module: Footprint,
    component: Footprint,
}

impl Scope {
    /// One that was read takes the next number here.
    fn define(&mut self, ended: &Self, largest: &mut Largest) {
        if ended.is_component {
            largest.component = ended.held.larger(largest.component);
            self.components.push(ended.held);
        } else {
            largest.module = ended.held.larger(largest.module);
            self.modules.push(ended.held);
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
            Payload::ElementSection(section) => {
                for segment in section.clone() {
                    let segment = segment?;
                    self.add(1, ITEM_BYTES);
                    if matches!(segment.kind, ElementKind::Passive) {
                        let count = match segment.items {
                            ElementItems::Functions(items) => items.count(),
                            ElementItems::Expressions(_, items) => items.count(),
                        };
                        self.add(count, ELEMENT_BYTES);
                    }
                }
            }
            Payload::ComponentTypeSection(section) => {
                for ty in section.clone() {
                    if let ComponentType::Resource { .. } = ty? {
                        self.add(1, RESOURCE_BYTES);
                    }
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section.clone() {
                    self.has_functions |= matches!(function?, CanonicalFunction::Lift { .. });
                    self.add(1, ITEM_BYTES);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_instances(&mut self, payload: &Payload<'_>, largest: Largest) -> wasmparser::Result<()> {
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        self.hold(get(&self.modules, module_index, largest.module));
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        self.hold(get(&self.components, component_index, largest.component));
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
                let held = from.map_or(largest.module, |from| get(&from.modules, index, largest.module));
                self.modules.push(held);
            }
            ComponentOuterAliasKind::Component => {
                let held = from.map_or(largest.component, |from| get(&from.components, index, largest.component));
                self.components.push(held);
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

fn get(known: &[Footprint], index: u32, otherwise: Footprint) -> Footprint {
    usize::try_from(index).ok().and_then(|index| known.get(index)).copied().unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        let wasm = wat::parse_str(text).expect("valid text");
        of(&wasm).expect("it is read").check("test.wat", EngineKind::Concurrent).is_err()
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

    #[test]
    fn elements_of_passive_segments_were_on_no_books() {
        let module = |count: usize| format!("(core module $m (func $f) (elem func {}))", "$f ".repeat(count));
        let instances = |count: usize| "(core instance (instantiate $m))".repeat(count);
        assert!(!refused(&format!("(component {} {})", module(10_000), instances(50))));
        assert!(refused(&format!("(component {} {})", module(10_000), instances(200))));
        assert!(refused(&format!(
            "(module {})",
            "(func $f) (elem funcref (ref.func $f))".replacen("(ref.func $f)", &"(ref.func $f)".repeat(1_100_000), 1)
        )));
    }

    #[test]
    fn resource_types_count_as_often_as_they_are_made() {
        let text = |instances: usize| {
            let types = "(type (resource (rep i32)))".repeat(1_000);
            format!("(component (component $c {types}) {})", "(instance (instantiate $c))".repeat(instances))
        };
        assert!(!refused(&text(10)));
        assert!(refused(&text(100)));
    }

    #[test]
    fn stacks_of_calls_that_wait_were_on_no_books() {
        let text = |instances: usize| {
            format!(
                "(component
                   (component $inner
                     (core module $m (func (export \"f\")))
                     (core instance $i (instantiate $m))
                     (func (export \"f\") (canon lift (core func $i \"f\"))))
                   {})",
                "(instance (instantiate $inner))".repeat(instances)
            )
        };
        assert!(!refused(&text(16)) && refused(&text(17)));
        let wasm = wat::parse_str(text(17)).expect("valid text");
        let one_at_a_time = of(&wasm).expect("it is read").check("test.wat", EngineKind::Plain);
        assert!(one_at_a_time.is_ok(), "{one_at_a_time:?}");
    }
}
