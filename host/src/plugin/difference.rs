//! Where the `aiohost:aio` that a plugin was built with differs from this host's, in the words of WIT.

use wit_component::DecodedWasm;
use wit_parser::{Function, Interface, Resolve, Type, TypeDefKind, TypeId, WorldItem};

use super::offer::push_package;

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
        let (wanted, here) = (members(theirs, *wanted), members(ours, here));
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
    let parameters: Vec<String> =
        function.params.iter().map(|parameter| format!("{}: {}", parameter.name, type_name(resolve, parameter.ty))).collect();
    let keyword = if function.kind.is_async() { "async func" } else { "func" };
    let result = function.result.map_or_else(String::new, |result| format!(" -> {}", type_name(resolve, result)));
    format!("{keyword}({}){result}", parameters.join(", "))
}

/// What a type with a name consists of, in its order; for anything but a record, variant, enum or flags it is one piece.
fn members(resolve: &Resolve, id: TypeId) -> Vec<String> {
    let with = |name: &str, ty: Option<Type>| match ty {
        Some(ty) => format!("{name}({})", type_name(resolve, ty)),
        None => name.to_owned(),
    };
    match &resolve.types[id].kind {
        TypeDefKind::Record(record) => {
            record.fields.iter().map(|field| format!("{}: {}", field.name, type_name(resolve, field.ty))).collect()
        }
        TypeDefKind::Variant(variant) => variant.cases.iter().map(|case| with(&case.name, case.ty)).collect(),
        TypeDefKind::Enum(cases) => cases.cases.iter().map(|case| case.name.clone()).collect(),
        TypeDefKind::Flags(flags) => flags.flags.iter().map(|flag| flag.name.clone()).collect(),
        // A type that is used from another interface is looked at there.
        TypeDefKind::Type(Type::Id(id)) => members(resolve, *id),
        kind => vec![kind.as_str().to_owned()],
    }
}

/// A type as a signature has it.
fn type_name(resolve: &Resolve, ty: Type) -> String {
    let name = |ty: &Type| type_name(resolve, *ty);
    let or_nothing = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), name);
    let id = match ty {
        Type::Id(id) => id,
        Type::ErrorContext => return "error-context".to_owned(),
        primitive => return format!("{primitive:?}").to_ascii_lowercase(),
    };
    let definition = &resolve.types[id];
    if let Some(name) = &definition.name {
        return name.clone();
    }
    match &definition.kind {
        TypeDefKind::List(of) => format!("list<{}>", name(of)),
        TypeDefKind::Option(of) => format!("option<{}>", name(of)),
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => "result".to_owned(),
            (ok, None) => format!("result<{}>", or_nothing(ok)),
            (ok, err) => format!("result<{}, {}>", or_nothing(ok), or_nothing(err)),
        },
        TypeDefKind::Tuple(tuple) => format!("tuple<{}>", tuple.types.iter().map(name).collect::<Vec<_>>().join(", ")),
        TypeDefKind::Handle(wit_parser::Handle::Own(id)) => name(&Type::Id(*id)),
        TypeDefKind::Handle(wit_parser::Handle::Borrow(id)) => format!("borrow<{}>", name(&Type::Id(*id))),
        TypeDefKind::Stream(of) => format!("stream<{}>", or_nothing(of)),
        TypeDefKind::Future(of) => format!("future<{}>", or_nothing(of)),
        TypeDefKind::Type(of) => name(of),
        kind => kind.as_str().to_owned(),
    }
}
