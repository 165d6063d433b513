//! From a plugin's file to a plugin that is ready to run: looked at, adapted, checked, compiled, or found in the cache.

use std::path::Path;

use wasmtime::component::{Component, InstancePre};

use super::cache::Key;
use super::difference;
use super::format::{self, Format};
use super::guest::Guest;
use super::host::{Host, read_plugin};
use super::machine::{EngineKind, Machine};
use super::offer::Missing;
use super::problem::{Problem, ProblemKind, Result};
use super::sealed;
use super::state::{State, new_store};
use super::world::World;

/// A plugin that is ready to run, any number of times. Cheap to clone.
#[derive(Clone)]
pub struct Plugin {
    pub(super) host: Host,
    pub(super) name: String,
    pub(super) pre: InstancePre<State>,
    description: Description,
}

/// What a plugin is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Description {
    /// What its file is.
    pub format: Format,
    /// What it imports and exports, once it is a component.
    pub world: World,
    /// The engine it runs on.
    pub engine: EngineKind,
}

/// Whether native code from a file may be run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    WebAssemblyOnly,
    Precompiled,
}

/// Looks at a plugin without compiling it. Compiled code cannot be looked at; load it with [`Host::load_trusted`].
///
/// # Errors
///
/// If the file cannot be read, or is no plugin.
pub fn describe(path: impl AsRef<Path>) -> Result<Description> {
    let name = display_name(path.as_ref());
    let bytes = read_plugin(path.as_ref())?;
    let format = Format::detect(&name, &bytes)?;
    if format == Format::Precompiled {
        return Err(untrusted(&name));
    }
    let component = format::into_component(&name, format, &bytes)?;
    let (world, engine) = read_world(&name, &component)?;
    Ok(Description { format, world, engine })
}

impl Host {
    /// Loads a plugin: a component or a core module for WASI preview 1, binary or as text. It is compiled, unless the code
    /// cache has it, which takes up to seconds: in an async program do it with `spawn_blocking`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no plugin, or imports what this host does not have. Compiled code is refused, since
    /// nothing holds it back once it runs; see [`Host::load_trusted`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Plugin> {
        let path = path.as_ref();
        self.load_bytes(&display_name(path), &read_plugin(path)?)
    }

    /// The same with a plugin that is in memory already. `name` is what it is called in errors, and its first argument.
    ///
    /// # Errors
    ///
    /// As [`Host::load`].
    pub fn load_bytes(&self, name: &str, bytes: &[u8]) -> Result<Plugin> {
        self.load_as(name, bytes, Trust::WebAssemblyOnly)
    }

    /// The same, but takes compiled code too, as `aiohost compile` and [`Plugin::compiled`] make it.
    ///
    /// # Errors
    ///
    /// As [`Host::load`]; and if compiled code is damaged, or was made by another version or with other settings.
    ///
    /// # Safety
    ///
    /// Compiled code is native code. It runs with all the rights of this process, outside of any sandbox, so whoever can
    /// write the file can do whatever this process can. The file must come from someone who is trusted that far.
    pub unsafe fn load_trusted(&self, path: impl AsRef<Path>) -> Result<Plugin> {
        let path = path.as_ref();
        self.load_as(&display_name(path), &read_plugin(path)?, Trust::Precompiled)
    }

    fn load_as(&self, name: &str, bytes: &[u8], trust: Trust) -> Result<Plugin> {
        let format = Format::detect(name, bytes)?;
        let (machine, component) = match (format, trust) {
            (Format::Precompiled, Trust::WebAssemblyOnly) => return Err(untrusted(name)),
            (Format::Precompiled, Trust::Precompiled) => self.deserialize(name, bytes)?,
            (Format::Component | Format::CoreModule | Format::Text, _) => self.compile_or_find(name, format, bytes)?,
        };
        let world = World::of_compiled(&component);
        let pre = machine
            .linker
            .instantiate_pre(&component)
            .map_err(|error| check(name, &world).err().unwrap_or_else(|| wrong_types(name, format, bytes, error)))?;
        let description = Description { format, world, engine: machine.kind };
        Ok(Plugin { host: self.clone(), name: name.to_owned(), pre, description })
    }

    /// The component from the cache, or compiled and put there.
    fn compile_or_find(&self, name: &str, format: Format, bytes: &[u8]) -> Result<(&Machine, Component)> {
        let hash = blake3::hash(bytes);
        if let Some(found) = self.find(hash)? {
            return Ok(found);
        }
        let component = format::into_component(name, format, bytes)?;
        let (world, kind) = read_world(name, &component)?;
        // Before it is compiled, which may take long.
        check(name, &world)?;
        let machine = self.0.machines.get(kind)?;
        let compiled = Component::from_binary(&machine.engine, &component).map_err(|error| invalid(name, error))?;
        if let Some(cache) = &self.0.cache {
            match compiled.serialize() {
                Ok(code) => cache.store(Key::new(hash, machine), &sealed::seal(code)),
                Err(error) => tracing::warn!(%error, "cannot keep compiled code"),
            }
        }
        Ok((machine, compiled))
    }

    fn find(&self, hash: blake3::Hash) -> Result<Option<(&Machine, Component)>> {
        let Some(cache) = &self.0.cache else { return Ok(None) };
        for kind in EngineKind::ALL {
            let machine = self.0.machines.get(kind)?;
            let key = Key::new(hash, machine);
            let Some(sealed) = cache.load(key) else { continue };
            let code = sealed::unseal(&sealed).unwrap_or_default();
            // SAFETY: the entry is the work of this user's `Component::serialize`: nobody else can write to the cache, and
            // its checksum is right. It was copied into memory before it was checked, so it cannot have changed since.
            match unsafe { Component::deserialize(&machine.engine, code) } {
                Ok(component) => return Ok(Some((machine, component))),
                Err(error) => {
                    tracing::warn!(%error, "an entry of the code cache is not used; compiling again");
                    cache.remove(key);
                }
            }
        }
        Ok(None)
    }

    /// Compiled code, for whichever engine it was compiled.
    fn deserialize(&self, name: &str, bytes: &[u8]) -> Result<(&Machine, Component)> {
        let refuse = |problem: Problem| problem.help_with("compile it again with this version: aiohost compile PLUGIN.wasm");
        let Some(code) = sealed::unseal(bytes) else {
            let what = format!("{name} is damaged, or was not made by `aiohost compile`");
            return Err(refuse(Problem::new(ProblemKind::Format, what).because_text("its checksum is missing or wrong")));
        };
        let mut reason = None;
        for kind in EngineKind::ALL {
            let machine = self.0.machines.get(kind)?;
            // SAFETY: the caller of `load_trusted` vouches for the file; that it is intact was checked just now.
            match unsafe { Component::deserialize(&machine.engine, code) } {
                Ok(component) => return Ok((machine, component)),
                Err(error) => reason = Some(error),
            }
        }
        let problem =
            Problem::new(ProblemKind::Format, format!("{name} was compiled by another version or for another machine"));
        Err(refuse(match reason {
            Some(error) => problem.because(error),
            None => problem,
        }))
    }
}

/// A path's last part: what a plugin is called.
fn display_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn read_world(name: &str, component: &[u8]) -> Result<(World, EngineKind)> {
    World::read(component).map_err(|error| invalid(name, error))
}

fn invalid(name: &str, error: impl Into<anyhow::Error>) -> Problem {
    Problem::new(ProblemKind::Format, format!("{name} is not a valid component"))
        .because(error)
        .help_with("it is damaged, or uses a feature of WebAssembly that this host does not have: build it again")
}

fn untrusted(name: &str) -> Problem {
    Problem::new(ProblemKind::Format, format!("{name} is compiled code, which is not run unless it is asked for"))
        .because_text("compiled code is native code, and no sandbox holds it")
        .help_with("use the .wasm it was compiled from; or, if you trust who made it, name it .cwasm (in a program: Host::load_trusted)")
}

/// Fails if the plugin imports what is not there.
fn check(name: &str, world: &World) -> Result<()> {
    let missing = world.missing();
    let Some(first) = missing.first() else { return Ok(()) };
    let more = match missing.len() {
        1 => String::new(),
        2 => ", and 1 more import".to_owned(),
        count => format!(", and {} more imports", count - 1),
    };
    Err(Problem::new(ProblemKind::World, format!("{name} imports `{}`, which this host does not have{more}", first.import))
        .because_text(&first.why)
        .help_with(remedy_for_import(first)))
}

fn remedy_for_import(missing: &Missing) -> String {
    match &missing.closest {
        _ if missing.is_other_version => {
            format!("{REBUILD}; or run it with an aiohost of its own age: `aiohost inspect` lists what is missing here")
        }
        Some(closest) => format!("the closest that it has is `{closest}`; `aiohost inspect` lists all that is missing"),
        None if missing.import.starts_with("aiohost:aio/") => REBUILD.to_owned(),
        None => "`aiohost inspect` lists all that is missing".to_owned(),
    }
}

/// What to do about a plugin that was built with another WIT package than this host's.
const REBUILD: &str = "write this host's WIT with `aiohost wit --out wit/deps/aiohost-aio --force` and build the plugin again";

/// `bytes` are the plugin's file, for showing where the types differ.
fn wrong_types(name: &str, format: Format, bytes: &[u8], error: wasmtime::Error) -> Problem {
    let component = match format {
        Format::Precompiled => None,
        Format::Component | Format::CoreModule | Format::Text => format::into_component(name, format, bytes).ok(),
    };
    let problem =
        Problem::new(ProblemKind::World, format!("{name} imports something with another type than it has in this host"));
    match component.and_then(|component| difference::find(&component)) {
        Some(difference) => problem.because_text(difference),
        None => problem.because(error),
    }
    .help_with(REBUILD)
}

impl Plugin {
    /// What it is called: the name of its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Its code as it was compiled, for [`Host::load_trusted`] of the same version on the same kind of machine.
    ///
    /// # Errors
    ///
    /// If there is not enough memory.
    pub fn compiled(&self) -> Result<Vec<u8>> {
        let code = self.pre.component().serialize();
        let problem =
            |error| Problem::new(ProblemKind::Host, format!("cannot get at the code of {}", self.name)).because(error);
        Ok(sealed::seal(code.map_err(problem)?))
    }

    /// A guest: the plugin with memory, directories and requests of its own. Nothing of it has run yet.
    ///
    /// # Errors
    ///
    /// If a directory can no longer be granted.
    pub fn guest(&self, arguments: &[impl AsRef<str>]) -> Result<Guest> {
        let host = &self.host.0;
        let argv0 = host.argv0.as_deref().unwrap_or(&self.name);
        let arguments = std::iter::once(argv0).chain(arguments.iter().map(AsRef::as_ref));
        let arguments: Vec<String> = arguments.map(str::to_owned).collect();
        let machine = host.machines.get(self.description.engine)?;
        let store = new_store(machine, host.wasi(&arguments)?, host.aio()?, &host.limits);
        Ok(Guest::new(self.clone(), store))
    }

    /// Runs the plugin as a command with these arguments and gives its exit status. Needs to be within a tokio runtime whose
    /// time is enabled.
    ///
    /// Dropping the future ends the guest: requests that are queued never run, those that run are finished.
    ///
    /// # Errors
    ///
    /// If it has no `wasi:cli/run` export, traps, reaches a limit that ends it, or takes too long. To see what it did up to
    /// then, use [`Plugin::guest`].
    pub async fn run(&self, arguments: &[impl AsRef<str>]) -> Result<i32> {
        let mut guest = self.guest(arguments)?;
        guest.run().await
    }

    /// Calls an exported function, with arguments in WAVE, the text form of component values, and gives its result in WAVE,
    /// if it has one: `"add(1, 2)"`, or `"example:calculator/sums.add(1, 2)"`.
    ///
    /// # Errors
    ///
    /// If there is no such function, or the arguments do not fit; and as [`Plugin::run`].
    pub async fn invoke(&self, call: &str) -> Result<Option<String>> {
        let mut guest = self.guest(&[""; 0])?;
        guest.invoke(call).await
    }
}
