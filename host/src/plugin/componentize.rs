//! From a core module and the world that it was built for to a component: for languages whose tools stop at the module.

use std::path::Path;

use wit_component::StringEncoding;
use wit_parser::{PackageId, ParseError, Resolve, ResolveError, ResolveErrorKind, WorldId};

use super::format::{Format, encode, into_binary};
use super::known;
use super::offer::{AIO_VERSION, push_package};
use crate::problem::{Problem, ProblemKind, Result};

/// The world that a module was built for.
#[derive(Clone, Copy, Debug)]
pub struct BuiltFor<'a> {
    /// A WIT file, or a folder of them, which may have a folder `deps`. `aiohost:aio` need not be among the `deps`. Without a path,
    /// the world is looked for in the package of this host, `aiohost:aio`.
    pub wit: Option<&'a Path>,
    /// The world's name: `plugin`, or `example:songs/plugin` for one in another package. It may be left out if there is only one.
    pub world: Option<&'a str>,
}

/// Makes a component of a core module, which may use WASI preview 1. Without a world the module may import nothing else, unless
/// its component type is embedded in it, as by the bindings of `wit-bindgen c`.
///
/// `name` is the module's name in errors.
///
/// ```
/// use aiohost::plugin::{BuiltFor, componentize};
///
/// # fn main() -> Result<(), aiohost::Problem> {
/// let module = br#"(module
///     (import "aiohost:aio/blocking@0.1.0" "nop" (func $nop (param i32)))
///     (memory (export "memory") 1)
///     (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
///     (func (export "_start") (call $nop (i32.const 0))))"#;
/// let component = componentize("nop.wat", module, Some(BuiltFor { wit: None, world: Some("blocking-guest") }))?;
/// aiohost::Host::builder().build()?.load_bytes("nop.wasm", &component)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// If the bytes are not a module, if its types and names would take over 64 MiB, if the world cannot be read or found, or if the module
/// does not fit it.
pub fn componentize(name: &str, module: &[u8], world: Option<BuiltFor<'_>>) -> Result<Vec<u8>> {
    let binary = match Format::detect(name, module)? {
        format @ (Format::CoreModule | Format::Text) => into_binary(name, format, module)?,
        Format::Component | Format::Precompiled => return Err(is_a_component(name)),
    };
    if Format::detect(name, &binary)? != Format::CoreModule {
        return Err(is_a_component(name));
    }
    known::check(name, &binary)?;
    let Some(world) = world else {
        return encode(&binary).map_err(|error| {
            Problem::new(ProblemKind::Format, format!("{name} does not say what it imports and exports"))
                .because(error)
                .help_for(
                    "name the world that it was built for in a BuiltFor, and where its WIT is if that is your own",
                    "name the world that it was built for, as in: --world submit-guest, or --wit wit --world my-plugin",
                )
        });
    };
    let (resolve, id) = find(world)?;
    let mut typed = binary.into_owned();
    wit_component::embed_component_metadata(&mut typed, &resolve, id, StringEncoding::UTF8)
        .and_then(|()| encode(&typed))
        .map_err(|error| {
            let what = format!("{name} does not fit the world `{}`", resolve.worlds[id].name);
            Problem::new(ProblemKind::Format, what).because(error).help_with(
                "it may import what the world imports and WASI preview 1, and must export what the world exports, under the \
                 names of the component model: make its bindings of this very WIT",
            )
        })
}

fn is_a_component(name: &str) -> Problem {
    Problem::new(ProblemKind::Format, format!("{name} is a component already")).help_for(
        "there is nothing to be done: Host::load takes it as it is",
        "there is nothing to be done: `aiohost run` takes it as it is",
    )
}

/// The world, in the package that it is to be looked for in.
fn find(world: BuiltFor<'_>) -> Result<(Resolve, WorldId)> {
    let (resolve, package, origin) = match world.wit {
        None => {
            let mut resolve = Resolve::new();
            let package = push_package(&mut resolve).map_err(|error| {
                Problem::new(ProblemKind::Host, "the WIT package of this host cannot be read").because(error)
            })?;
            (resolve, package, "the WIT package of this host".to_owned())
        }
        Some(path) => {
            let (resolve, package) = read(path)?;
            (resolve, package, path.display().to_string())
        }
    };
    match resolve.select_world(&[package], world.world) {
        Ok(id) => Ok((resolve, id)),
        Err(_) => {
            let worlds: Vec<&str> = resolve.packages[package].worlds.keys().map(String::as_str).collect();
            let what = match world.world {
                Some(name) => format!("there is no world `{name}` in {origin}"),
                None => format!("there is not exactly one world in {origin}"),
            };
            Err(Problem::new(ProblemKind::Wit, what).because_text(format!("its worlds are: {}", worlds.join(", "))).help_for(
                "name one of them in BuiltFor::world, or the folder of your own WIT in BuiltFor::wit",
                "name one of them with --world, or the folder of your own WIT with --wit",
            ))
        }
    }
}

/// Reads a package. It may use this host's own without having it among its `deps`.
fn read(path: &Path) -> Result<(Resolve, PackageId)> {
    path.metadata().map_err(|error| {
        Problem::new(ProblemKind::Wit, format!("cannot read the WIT in {}", path.display())).because(error).help_for(
            "name a folder with .wit files, or one such file; without BuiltFor::wit the package of this host is used",
            "name a folder with .wit files, or one such file; without --wit the package of this host is used",
        )
    })?;
    let mut alone = Resolve::new();
    let failure = match alone.push_path(path) {
        Ok((package, _)) => return Ok((alone, package)),
        Err(error) => error,
    };
    if lacking(&failure) != Some("aiohost") {
        return Err(unusable(path, &alone, &failure));
    }
    let mut with_own = Resolve::new();
    match push_package(&mut with_own).and_then(|_| with_own.push_path(path)) {
        Ok((package, _)) => Ok((with_own, package)),
        Err(error) => Err(unusable(path, &with_own, &error)),
    }
}

/// With the place in the file, where the error has one.
fn unusable(path: &Path, resolve: &Resolve, error: &anyhow::Error) -> Problem {
    let (root, sources) = (error.root_cause(), &resolve.source_map);
    let cause = match (root.downcast_ref::<ParseError>(), root.downcast_ref::<ResolveError>()) {
        (Some(error), _) => error.render(sources),
        (_, Some(error)) => error.render(sources),
        (None, None) => format!("{error:#}"),
    };
    let problem = Problem::new(ProblemKind::Wit, format!("cannot use the WIT in {}", path.display())).because_text(cause);
    match lacking(error) {
        Some("aiohost") => problem.help_for(
            format!("this host has aiohost:aio@{AIO_VERSION}: it is in plugin::WIT"),
            format!("this host has aiohost:aio@{AIO_VERSION}: `aiohost wit` prints it"),
        ),
        Some(_) => problem.help_with("put the package into a folder of its own below the folder `deps`, beside the world"),
        None => problem.help_for(
            "plugin::WIT is a package that is correct, to compare it with",
            "`aiohost wit` prints a package that is correct, to compare it with",
        ),
    }
}

/// The namespace of the package that was not found, if that is the error.
fn lacking(error: &anyhow::Error) -> Option<&str> {
    match error.downcast_ref::<ResolveError>()?.kind() {
        ResolveErrorKind::PackageNotFound { requested, .. } => Some(&requested.namespace),
        _ => None,
    }
}
