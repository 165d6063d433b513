//! From a plugin's bytes to WebAssembly that is valid and whose world is known: all that is done before it is compiled.

use std::borrow::Cow;

use super::code::Shape;
use super::compile_how::{CompileHow, Offer};
use super::core_imports;
use super::format::{self, Format};
use super::machine::{EngineKind, Machine};
use super::offer::Missing;
use super::validate::{self, Unsupported};
use super::world::World;
use super::{footprint, known, streams_of_flags};
use crate::problem::{Problem, ProblemKind, Remedy, Result};
use crate::shown;

/// A plugin that can be compiled, unless it uses what is not supported.
pub(super) struct Prepared<'a> {
    pub(super) shape: Shape,
    /// The component that it is or becomes, or the core module.
    pub(super) binary: Cow<'a, [u8]>,
    pub(super) world: World,
    pub(super) engine: EngineKind,
    pub(super) unsupported: Vec<Unsupported>,
}

/// Looks at a plugin of this format, which must not be compiled code.
pub(super) fn prepare<'a>(name: &str, format: Format, bytes: &'a [u8]) -> Result<Prepared<'a>> {
    let binary = format::into_binary(name, format, bytes)?;
    known::check(name, &binary)?;
    if Format::detect(name, &binary)? == Format::CoreModule {
        return prepare_core(name, binary);
    }
    let (world, engine) = World::read(&binary).map_err(|error| invalid(name, "component", error))?;
    let unsupported = validate::unsupported(&binary, engine).map_err(|error| invalid(name, "component", error))?;
    Ok(Prepared { shape: Shape::Component, binary, world, engine, unsupported })
}

/// A core module is validated as it is, so that places in it are those of its file.
fn prepare_core<'a>(name: &str, module: Cow<'a, [u8]>) -> Result<Prepared<'a>> {
    let engine = EngineKind::Plain;
    let unsupported = validate::unsupported(&module, engine).map_err(|error| invalid(name, "core module", error))?;
    if core_imports::runs_as_it_is(&module) {
        let world = World::read_module(&module).map_err(|error| invalid(name, "core module", error))?;
        return Ok(Prepared { shape: Shape::Module, binary: module, world, engine, unsupported });
    }
    let component = match format::adapt(name, &module) {
        // It may be just that which was in the way.
        Err(_) if !unsupported.is_empty() => return Err(validate::problem(name, &unsupported)),
        component => component?,
    };
    let (world, engine) = World::read(&component).map_err(|error| invalid(name, "component", error))?;
    Ok(Prepared { shape: Shape::Component, binary: Cow::Owned(component), world, engine, unsupported })
}

/// The problem of a plugin that is no valid component or core module.
pub(super) fn invalid(name: &str, what: &str, error: impl Into<anyhow::Error>) -> Problem {
    Problem::new(ProblemKind::Format, format!("{name} is not a valid {what}"))
        .because(error)
        .help_with("it is damaged, or uses a feature of WebAssembly that this host does not have: build it again")
}

/// What the process of its own does: the same up to the code.
pub(super) fn precompile(name: &str, bytes: &[u8], how: CompileHow) -> Result<(EngineKind, Vec<u8>)> {
    let format = Format::detect(name, bytes)?;
    if format == Format::Precompiled {
        return Err(untrusted(name));
    }
    let ready = ready(name, format, bytes, how.offer)?;
    let machine = Machine::new(ready.engine, how.epochs, &[])
        .map_err(|error| Problem::new(ProblemKind::Host, "cannot set up the WebAssembly engine").because(error))?;
    let code = ready.shape.precompile(&machine.engine, &ready.binary);
    Ok((ready.engine, code.map_err(|error| invalid(name, ready.shape.noun(), error))?))
}

/// The plugin as it can be compiled: whatever is wrong with it is found before that, which may take long.
pub(super) fn ready<'a>(name: &str, format: Format, bytes: &'a [u8], offer: Offer) -> Result<Prepared<'a>> {
    let prepared = prepare(name, format, bytes)?;
    if !prepared.unsupported.is_empty() {
        return Err(validate::problem(name, &prepared.unsupported));
    }
    check(name, &prepared.world, offer)?;
    let footprint = footprint::of(&prepared.binary).map_err(|error| invalid(name, prepared.shape.noun(), error))?;
    footprint.check(name, prepared.engine)?;
    if prepared.engine == EngineKind::Concurrent {
        let weight = streams_of_flags::weight_in(&prepared.binary);
        streams_of_flags::check(name, weight.map_err(|error| invalid(name, prepared.shape.noun(), error))?)?;
    }
    Ok(prepared)
}

pub(super) fn untrusted(name: &str) -> Problem {
    Problem::new(ProblemKind::Format, format!("{name} is compiled code, which is not run unless it is asked for"))
        .because_text("compiled code is native code, and no sandbox holds it")
        .help_for(
            "use the .wasm it was compiled from; or, if you trust who made it, load it with Host::load_trusted",
            "use the .wasm it was compiled from; or, if you trust who made it, name it .cwasm",
        )
}

/// Fails if the plugin imports what is not there.
pub(super) fn check(name: &str, world: &World, offer: Offer) -> Result<()> {
    let missing = world.missing_beside(offer);
    let Some(first) = missing.first() else { return Ok(()) };
    let more = match missing.len() {
        1 => String::new(),
        2 => ", and 1 more import".to_owned(),
        count => format!(", and {} more imports", count - 1),
    };
    let import = shown::name(&first.import);
    Err(Problem::new(ProblemKind::World, format!("{name} imports `{import}`, which this host does not have{more}"))
        .because_text(&first.why)
        .help_with(remedy_for_import(first)))
}

fn remedy_for_import(missing: &Missing) -> Remedy {
    match &missing.closest {
        _ if missing.is_other_version => Remedy::of(
            format!("{REBUILD}; or load it with an aiohost of its own age: World::missing lists what is missing here"),
            format!(
                "{REBUILD_BY_COMMAND}; or run it with an aiohost of its own age: `aiohost inspect` lists what is missing here"
            ),
        ),
        _ if missing.import.starts_with("wasi:http/") => {
            "plugins have no network here, and so no HTTP: let it read what it needs from a file or from standard input".into()
        }
        Some(closest) => Remedy::of(
            format!("the closest that it has is `{closest}`; {LIST_MISSING}"),
            format!("the closest that it has is `{closest}`; {LIST_MISSING_BY_COMMAND}"),
        ),
        None if missing.import.starts_with("aiohost:aio/") => rebuild(),
        None => Remedy::of(LIST_MISSING, LIST_MISSING_BY_COMMAND),
    }
}

const LIST_MISSING: &str = "World::missing lists all that is missing, and plugin::describe reads the world";
const LIST_MISSING_BY_COMMAND: &str = "`aiohost inspect` lists all that is missing";

/// What to do about a plugin that was built with another WIT package than this host's.
pub(super) fn rebuild() -> Remedy {
    Remedy::of(REBUILD, REBUILD_BY_COMMAND)
}

const REBUILD: &str = "build the plugin again with this host's WIT, which is in plugin::WIT";
const REBUILD_BY_COMMAND: &str =
    "write this host's WIT with `aiohost wit --out wit/deps/aiohost-aio --force` and build the plugin again";
