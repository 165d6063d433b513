//! Where the `aiohost:aio` that a plugin was built with differs from this host's, in the words of WIT.

use std::fmt;

use wit_component::DecodedWasm;
use wit_parser::{Function, Interface, Resolve, Type, TypeDefKind, TypeId, WorldItem};

use super::offer::push_package;
use crate::shown;

const PACKAGE: &str = "aiohost:aio/";

/// The first difference of types, or none if there is none, or none that can be shown. Functions that are missing here are not
/// looked at: those are known before.
pub(super) fn find(component: &[u8]) -> Option<String> {
    let DecodedWasm::Component(theirs, world) = wit_component::decode(component).ok()? else { return None };
    let mut ours = Resolve::new();
    push_package(&mut ours).ok()?;
    for (_, import) in &theirs.worlds[world].imports {
        let WorldItem::Interface { id, .. } = import else { continue };
        let Some(name) = theirs.id_of(*id).and_then(|name| name.strip_prefix(PACKAGE).map(str::to_owned)) else { continue };
        let name = name.split('@').next().unwrap_or(&name);
        let Some((_, interface)) = ours.interfaces.iter().find(|(_, interface)| interface.name.as_deref() == Some(name)) else {
            continue;
        };
        let found = different_function(name, &theirs, &theirs.interfaces[*id], &ours, interface)
            .or_else(|| different_type(&theirs, &theirs.interfaces[*id], &ours));
        if found.is_some() {
            return found;
        }
    }
    None
}

fn different_function(name: &str, theirs: &Resolve, wanted: &Interface, ours: &Resolve, here: &Interface) -> Option<String> {
    wanted.functions.iter().find_map(|(function, wanted)| {
        let (wanted, here) = (signature(theirs, wanted), signature(ours, here.functions.get(function)?));
        (wanted != here).then(|| {
            format!("`{PACKAGE}{name}` is not the same\nin the plugin: {function}: {wanted}\nin this host:  {function}: {here}")
        })
    })
}

/// A type is looked for by its name in all of the package: a toolchain may put it where it is used.
fn different_type(theirs: &Resolve, wanted: &Interface, ours: &Resolve) -> Option<String> {
    wanted.types.iter().find_map(|(name, wanted)| {
        let (here, _) = ours.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name))?;
        let here = members(ours, here, usize::MAX);
        // One more than there are here is a difference.
        let wanted = members(theirs, *wanted, here.len() + 1);
        let position = (0..wanted.len().max(here.len())).find(|index| wanted.get(*index) != here.get(*index))?;
        let show = |members: &[String]| match members.get(position) {
            Some(member) => format!("`{member}`"),
            None => "nothing more".to_owned(),
        };
        Some(format!(
            "the type `{name}` is not the same: where the plugin has {}, this host has {}",
            show(&wanted),
            show(&here)
        ))
    })
}

/// A function as WIT has it. The names of its parameters are a part of its type.
fn signature(resolve: &Resolve, function: &Function) -> String {
    shown::written(|to| {
        to.write_str(if function.kind.is_async() { "async func(" } else { "func(" })?;
        for (number, parameter) in function.params.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(to, "{comma}{}: ", parameter.name)?;
            write_type(to, resolve, &parameter.ty)?;
        }
        to.write_str(")")?;
        let Some(result) = &function.result else { return Ok(()) };
        to.write_str(" -> ")?;
        write_type(to, resolve, result)
    })
}

/// What a type with a name consists of, in its order, up to so many; for anything but a record, variant, enum or flags it is one
/// piece.
fn members(resolve: &Resolve, id: TypeId, most: usize) -> Vec<String> {
    let with = |name: &str, before: &str, ty: Option<&Type>, after: &str| {
        shown::written(|to| {
            to.write_str(name)?;
            let Some(ty) = ty else { return Ok(()) };
            to.write_str(before)?;
            write_type(to, resolve, ty)?;
            to.write_str(after)
        })
    };
    match &resolve.types[id].kind {
        TypeDefKind::Record(record) => {
            record.fields.iter().take(most).map(|field| with(&field.name, ": ", Some(&field.ty), "")).collect()
        }
        TypeDefKind::Variant(variant) => {
            variant.cases.iter().take(most).map(|case| with(&case.name, "(", case.ty.as_ref(), ")")).collect()
        }
        TypeDefKind::Enum(cases) => cases.cases.iter().take(most).map(|case| case.name.clone()).collect(),
        TypeDefKind::Flags(flags) => flags.flags.iter().take(most).map(|flag| flag.name.clone()).collect(),
        // A type that is used from another interface is looked at there.
        TypeDefKind::Type(Type::Id(id)) => members(resolve, *id, most),
        kind => vec![kind.as_str().to_owned()],
    }
}

/// A type as a signature has it.
fn write_type(to: &mut dyn fmt::Write, resolve: &Resolve, ty: &Type) -> fmt::Result {
    let id = match ty {
        Type::Id(id) => *id,
        Type::ErrorContext => return to.write_str("error-context"),
        primitive => return to.write_str(&format!("{primitive:?}").to_ascii_lowercase()),
    };
    let definition = &resolve.types[id];
    if let Some(name) = &definition.name {
        return to.write_str(name);
    }
    let mut with = |name: &str, of: &[Option<Type>]| write_with(to, resolve, name, of);
    match &definition.kind {
        TypeDefKind::List(of) => with("list", &[Some(*of)]),
        TypeDefKind::Option(of) => with("option", &[Some(*of)]),
        TypeDefKind::Result(result) => match (result.ok, result.err) {
            (None, None) => to.write_str("result"),
            (ok, None) => with("result", &[ok]),
            (ok, err) => with("result", &[ok, err]),
        },
        TypeDefKind::Tuple(tuple) => with("tuple", &tuple.types.iter().copied().map(Some).collect::<Vec<_>>()),
        TypeDefKind::Handle(wit_parser::Handle::Own(id)) => write_type(to, resolve, &Type::Id(*id)),
        TypeDefKind::Handle(wit_parser::Handle::Borrow(id)) => with("borrow", &[Some(Type::Id(*id))]),
        TypeDefKind::Stream(of) => with("stream", &[*of]),
        TypeDefKind::Future(of) => with("future", &[*of]),
        TypeDefKind::Type(of) => write_type(to, resolve, of),
        kind => to.write_str(kind.as_str()),
    }
}

/// A type that is made of others; of one that carries nothing there is a `_`.
fn write_with(to: &mut dyn fmt::Write, resolve: &Resolve, name: &str, of: &[Option<Type>]) -> fmt::Result {
    write!(to, "{name}<")?;
    for (number, ty) in of.iter().enumerate() {
        to.write_str(if number > 0 { ", " } else { "" })?;
        match ty {
            Some(ty) => write_type(to, resolve, ty)?,
            None => to.write_str("_")?,
        }
    }
    to.write_str(">")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plugin that wants another `nop`, with a parameter that is written with 2^18 names.
    #[test]
    fn a_type_was_written_with_all_that_it_is_made_of() {
        let name = "a".repeat(1_000);
        let tuples = (0..18).map(|step| format!("(type $t{} (tuple $t{step} $t{step}))", step + 1)).collect::<String>();
        let text = format!(
            r#"(component (import "aiohost:aio/blocking@0.1.0" (instance
                (type $q (record (field "a" u8))) (export "{name}" (type $t0 (eq $q)))
                {tuples} (export "nop" (func (param "x" $t18))))))"#
        );
        let found = find(&wat::parse_str(text).expect("valid text")).expect("it is not the same");
        assert!(found.contains("in the plugin: nop: func(x: tuple<tuple<") && found.len() < 10_000, "{}", found.len());
    }
}
