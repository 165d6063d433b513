//! How much more memory a result takes in the form that is shown than wasmtime counts for it: it has each flag that is set as a
//! string of its own, and counts the bytes of its name alone.

use wasmtime::component::{Type, Val};

/// Types within a type that are looked at. A type of more is taken for one with the worst there is. 1,000: flags have at most 32
/// names, so those that stand in no list take 3 MiB.
pub(super) const TYPES_MAX: usize = 1000;

/// Bytes of memory that a string takes beside its letters: itself, in a list that may be half empty, and its place on the heap.
const STRING_BYTES: usize = 2 * size_of::<String>() + 32;

/// That of flags whose names have one letter each.
pub(super) const WORST: usize = STRING_BYTES + 1;

/// What wasmtime's count for results of these types is to be multiplied by. 1 where flags are not in lists: they are few then.
pub(super) fn of_results(types: impl Iterator<Item = Type>) -> usize {
    let mut left = TYPES_MAX;
    types.map(|ty| weight(&ty, false, &mut left)).max().unwrap_or(1)
}

fn weight(ty: &Type, is_repeated: bool, left: &mut usize) -> usize {
    let Some(others) = left.checked_sub(1) else { return WORST };
    *left = others;
    let mut of_all = |types: &mut dyn Iterator<Item = Type>, is_repeated: bool| {
        types.map(|ty| weight(&ty, is_repeated, left)).max().unwrap_or(1)
    };
    match ty {
        Type::Flags(flags) if is_repeated => of_names(flags.names()),
        Type::List(list) => of_all(&mut std::iter::once(list.ty()), true),
        Type::FixedLengthList(list) => of_all(&mut std::iter::once(list.ty()), true),
        Type::Map(map) => of_all(&mut [map.key(), map.value()].into_iter(), true),
        Type::Record(record) => of_all(&mut record.fields().map(|field| field.ty), is_repeated),
        Type::Tuple(tuple) => of_all(&mut tuple.types(), is_repeated),
        Type::Variant(variant) => of_all(&mut variant.cases().filter_map(|case| case.ty), is_repeated),
        Type::Option(option) => of_all(&mut std::iter::once(option.ty()), is_repeated),
        Type::Result(result) => of_all(&mut result.ok().into_iter().chain(result.err()), is_repeated),
        _ => 1,
    }
}

/// The same of flags that are in a list.
pub(super) fn of_names<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let (mut taken, mut counted) = (size_of::<Val>(), size_of::<Val>());
    for name in names {
        taken = taken.saturating_add(STRING_BYTES).saturating_add(name.len());
        counted = counted.saturating_add(name.len());
    }
    taken.div_ceil(counted)
}

#[cfg(test)]
mod tests {
    use crate::{Host, ProblemKind};

    /// A component whose function `f` returns so many flags with all 32 names.
    fn component(count: usize) -> String {
        let names: Vec<String> = (0..32).map(|number| format!("\"a{number}\"")).collect();
        format!(
            r#"(component
                (core module $m
                    (memory (export "memory") 100)
                    (func (export "f") (result i32)
                        (memory.fill (i32.const 64) (i32.const 255) (i32.const {}))
                        (i32.store (i32.const 0) (i32.const 64))
                        (i32.store (i32.const 4) (i32.const {count}))
                        (i32.const 0)))
                (core instance $i (instantiate $m))
                (type $flags (flags {}))
                (export $named "all" (type $flags))
                (func (export "f") (result (list $named)) (canon lift (core func $i "f") (memory (core memory $i "memory")))))"#,
            count * 4,
            names.join(" ")
        )
    }

    fn invoke(count: usize) -> crate::problem::Result<Option<String>> {
        let host = Host::builder().build().expect("a host");
        let plugin = host.load_bytes("flags.wat", component(count).as_bytes()).expect("it compiles");
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("an event loop")
            .block_on(plugin.invoke("f()"))
    }

    #[test]
    fn flags_took_thirty_times_what_was_counted() {
        let some = invoke(1000).expect("they are few").expect("a list");
        assert_eq!(some.matches("a31").count(), 1000);
        // 100,000 would take 200 MB, and are counted as 13.
        let error = invoke(100_000).expect_err("they are more than a call may bring");
        assert_eq!(error.kind(), ProblemKind::Limit, "{error:?}");
    }
}
