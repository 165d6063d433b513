//! From a plugin's file to a plugin that is ready to run: looked at, adapted, checked, compiled, or found in the cache.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bytes::PluginBytes;
use super::code::{Code, Linked};
use super::compile_how::Epochs;
use super::format::{self, Format};
use super::host::Host;
use super::machine::{EngineKind, Machine};
use super::prepare::{Prepared, check, prepare, rebuild, untrusted};
use super::validate::Unsupported;
use super::world::World;
use super::{difference, sealed, source, trust};
use crate::problem::{Problem, ProblemKind, Remedy, Result};

/// A plugin that is ready to run, any number of times, on any threads. Cheap to clone. The [module](super) and [`Plugin::guest`]
/// have examples.
#[derive(Clone)]
pub struct Plugin {
    pub(super) host: Host,
    pub(super) name: String,
    pub(super) linked: Linked,
    /// Where compiled code came from, which no guest may write.
    pub(super) origin: Option<Arc<CodeFile>>,
    description: Description,
}

/// A file of compiled code: the path that it was opened by, and what was opened.
pub(super) struct CodeFile {
    pub(super) path: PathBuf,
    pub(super) file: File,
}

/// What is known of a plugin: its format, its imports and exports, and the engine that it needs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Description {
    /// The format of its file.
    pub format: Format,
    /// Its imports and exports. For a core module that becomes a component, those of the component.
    pub world: World,
    /// The engine it runs on.
    pub engine: EngineKind,
    /// Features of WebAssembly that it uses and this host does not have; none for a plugin that was loaded.
    pub unsupported: Vec<Unsupported>,
}

impl CodeFile {
    fn keep(name: &str, path: &Path, file: &File) -> Result<Self> {
        let kept = std::path::absolute(path).and_then(|path| Ok(Self { path, file: file.try_clone()? }));
        kept.map_err(|error| Problem::new(ProblemKind::File, format!("cannot keep the file of {name} open")).because(error))
    }
}

/// Whether native code from a file may be run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    WebAssemblyOnly,
    Precompiled,
}

/// Describes a plugin without compiling it. Compiled code cannot be described; load it with [`Host::load_trusted`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("plugin.wat");
/// # std::fs::write(&path, r#"(module
/// #     (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
/// #     (memory (export "memory") 1) (func (export "_start")))"#)?;
/// let world = aiohost::plugin::describe(path)?.world;
/// assert!(world.command().is_some() && world.uses_wasi(1) && world.missing().is_empty());
/// for import in &world.imports {
///     println!("{}: {} functions", import.name, import.functions().len());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// If the file cannot be read, or is not a plugin, or its types and names would take over 64 MiB.
pub fn describe(path: impl AsRef<Path>) -> Result<Description> {
    describe_source(&display_name(path.as_ref()), &PluginBytes::open(path.as_ref())?)
}

/// The same for a plugin that is in memory already. `name` is its name in errors.
///
/// ```
/// use aiohost::plugin::{Format, describe_bytes};
///
/// # fn main() -> Result<(), aiohost::Problem> {
/// assert_eq!(describe_bytes("empty.wat", b"(component)")?.format, Format::Text);
/// assert!(describe_bytes("notes.txt", b"no plugin").is_err());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`describe`].
pub fn describe_bytes(name: &str, bytes: &[u8]) -> Result<Description> {
    source::check_size(name, bytes)?;
    describe_source(name, &PluginBytes::Memory(bytes))
}

fn describe_source(name: &str, source: &PluginBytes<'_>) -> Result<Description> {
    let bytes = source.bytes()?;
    let format = Format::detect(name, &bytes)?;
    if format == Format::Precompiled {
        return Err(untrusted(name));
    }
    let Prepared { world, engine, unsupported, .. } = prepare(name, format, &bytes)?;
    Ok(Description { format, world, engine, unsupported })
}

impl Host {
    /// Loads a plugin: a component, or a core module for WASI preview 1, as binary or as text. Its file may have 256 MiB, and text
    /// 8 MiB.
    ///
    /// It is compiled, unless the code cache has it. That takes up to some seconds: in an async program use `spawn_blocking`. A
    /// malicious plugin may take hours to compile, unless [`HostBuilder::compile_in`](super::HostBuilder::compile_in) limits it.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("plugin.wat");
    /// # std::fs::write(&path, r#"(module (memory (export "memory") 1) (func (export "_start")))"#)?;
    /// let host = aiohost::Host::builder().build()?;
    /// let plugin = tokio::task::spawn_blocking(move || host.load(path)).await??;
    /// assert_eq!((plugin.name(), plugin.run([]).await?), ("plugin.wat", 0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not a plugin, or imports something that this host does not have. Compiled code is refused,
    /// since nothing confines it once it runs; see [`Host::load_trusted`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Plugin> {
        let path = path.as_ref();
        self.load_as(&display_name(path), &PluginBytes::open(path)?, Trust::WebAssemblyOnly)
    }

    /// The same for a plugin that is in memory already. `name` is its name in errors, and its first argument.
    ///
    /// # Errors
    ///
    /// As [`Host::load`].
    pub fn load_bytes(&self, name: &str, bytes: &[u8]) -> Result<Plugin> {
        source::check_size(name, bytes)?;
        self.load_as(name, &PluginBytes::Memory(bytes), Trust::WebAssemblyOnly)
    }

    /// The same, but takes compiled code too, as `aiohost compile` and [`Plugin::compiled`] make it. The latter has an example.
    ///
    /// # Errors
    ///
    /// Those of [`Host::load`]; if compiled code is damaged, or was made by another version or with other settings; and if it lies
    /// where a plugin of this host may write.
    ///
    /// # Safety
    ///
    /// Compiled code is native code. It runs with all the rights of this process, outside of any sandbox, so whoever can
    /// write the file can do whatever this process can. The file must come from someone who is trusted that far.
    pub unsafe fn load_trusted(&self, path: impl AsRef<Path>) -> Result<Plugin> {
        let path = path.as_ref();
        self.load_as(&display_name(path), &PluginBytes::open(path)?, Trust::Precompiled)
    }

    fn load_as(&self, name: &str, source: &PluginBytes<'_>, trust: Trust) -> Result<Plugin> {
        let (format, machine, code) = match self.find(name, source)? {
            Some(found) => found,
            None => self.make(name, source, trust)?,
        };
        let world = match &code {
            Code::Component(component) => World::of_compiled(component),
            Code::Module(module) => World::of_compiled_module(module),
        };
        let linked = code.link(machine).map_err(|error| {
            check(name, &world, self.0.machines.how().offer).err().unwrap_or_else(|| match &code {
                Code::Component(_) => wrong_types(name, difference(name, format, source), error).help_with(rebuild()),
                Code::Module(_) => wrong_types(name, None, error).help_with(REBUILD_MODULE),
            })
        })?;
        let description = Description { format, world, engine: machine.kind, unsupported: Vec::new() };
        let origin = match (format, source.origin()) {
            (Format::Precompiled, Some((path, file))) => Some(Arc::new(CodeFile::keep(name, path, file)?)),
            _ => None,
        };
        Ok(Plugin { host: self.clone(), name: name.to_owned(), linked, origin, description })
    }

    /// The code from the cache.
    fn find(&self, name: &str, source: &PluginBytes<'_>) -> Result<Option<(Format, &Machine, Code)>> {
        let Some(cache) = &self.0.cache else { return Ok(None) };
        let head = source.head()?;
        let format = match &head[..] {
            [b'\0', b'a', b's', b'm', ..] => Format::detect(name, &head)?,
            // Compiled code is not compiled again.
            [0x7f, b'E', b'L', b'F', ..] => return Ok(None),
            // If the cache has it, it was a plugin when it was compiled.
            _ => Format::Text,
        };
        let hash = source.hash()?;
        for kind in self.0.machines.kinds() {
            let machine = self.0.machines.get(kind)?;
            let entry_name = cache.name(hash, machine);
            let Some(entry) = cache.load(entry_name) else { continue };
            match entry.code(&machine.engine) {
                Ok(code) => return Ok(Some((format, machine, code))),
                Err(error) => cache.refuse(entry_name, &error),
            }
        }
        Ok(None)
    }

    /// The code from a file of compiled code, or compiled and put into the cache.
    fn make(&self, name: &str, source: &PluginBytes<'_>, trust: Trust) -> Result<(Format, &Machine, Code)> {
        let bytes = source.bytes()?;
        let format = Format::detect(name, &bytes)?;
        let (machine, code) = match (format, trust) {
            (Format::Precompiled, Trust::WebAssemblyOnly) => return Err(untrusted(name)),
            (Format::Precompiled, Trust::Precompiled) => {
                if let Some((path, file)) = source.origin() {
                    trust::check_compiled(name, path, file, &self.0.grants.granted)?;
                }
                self.deserialize(name, &bytes)?
            }
            (Format::Component | Format::CoreModule | Format::Text, _) => self.compile_and_keep(name, format, bytes)?,
        };
        Ok((format, machine, code))
    }

    /// Of a large plugin no more is held at a time than there has to be: its file is given up once it is compiled, and what was
    /// put into the cache is mapped from there.
    fn compile_and_keep(&self, name: &str, format: Format, bytes: Cow<'_, [u8]>) -> Result<(&Machine, Code)> {
        let kept = self.0.cache.as_ref().map(|cache| (cache, blake3::hash(&bytes)));
        let (machine, compilation) = self.compile(name, format, &bytes)?;
        drop(bytes);
        if let Some((cache, hash)) = kept {
            let entry_name = cache.name(hash, machine);
            match compilation.serialized() {
                Ok(code) => cache.store(entry_name, &code),
                Err(error) => tracing::warn!(%error, "cannot keep compiled code"),
            }
            if let Some(code) = cache.load(entry_name).and_then(|entry| entry.code(&machine.engine).ok()) {
                return Ok((machine, code));
            }
        }
        Ok((machine, compilation.code(name, machine)?))
    }

    /// Compiled code, for whichever engine it was compiled.
    fn deserialize(&self, name: &str, bytes: &[u8]) -> Result<(&Machine, Code)> {
        let refuse = |problem: Problem| {
            problem.help_for(
                "compile it again with this version, and keep what Plugin::compiled returns",
                "compile it again with this version: aiohost compile PLUGIN.wasm",
            )
        };
        let Some(code) = sealed::unseal(bytes) else {
            let what = format!("{name} is damaged, or was not made by `aiohost compile`");
            return Err(refuse(Problem::new(ProblemKind::Format, what).because_text("its checksum is missing or wrong")));
        };
        let mut reason = None;
        for kind in self.0.machines.kinds() {
            let machine = self.0.machines.get(kind)?;
            // SAFETY: the caller of `load_trusted` vouches for the file; that it is intact was checked just now.
            match unsafe { Code::deserialize(&machine.engine, code) } {
                Ok(code) => return Ok((machine, code)),
                Err(error) => reason = Some(error),
            }
        }
        let problem = |what: &str| Problem::new(ProblemKind::Format, format!("{name} was compiled {what}"));
        Err(match reason {
            // wasmtime has no type for this error either.
            Some(error) if format!("{error:#}").contains("epoch interruption") => {
                problem("with other settings").because(error).help_with(match self.0.machines.how().epochs {
                    Epochs::Checked => Remedy::of(
                        "compile it on a host with HostBuilder::epoch_interruption, or set that to false here",
                        "compile it with `aiohost compile --epoch-interruption`",
                    ),
                    Epochs::Unchecked => Remedy::of(
                        "compile it on a host without HostBuilder::epoch_interruption, or set that to true here",
                        "compile it again, without --epoch-interruption",
                    ),
                })
            }
            Some(error) => refuse(problem("by another version or for another machine").because(error)),
            None => refuse(problem("by another version or for another machine")),
        })
    }
}

/// A path's last part: what a plugin is called.
fn display_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Where the types of a component differ from what is offered here.
fn difference(name: &str, format: Format, source: &PluginBytes<'_>) -> Option<String> {
    match format {
        Format::Precompiled => None,
        Format::Component | Format::CoreModule | Format::Text => {
            difference::find(&format::into_component(name, format, &source.bytes().ok()?).ok()?)
        }
    }
}

fn wrong_types(name: &str, difference: Option<String>, error: wasmtime::Error) -> Problem {
    let problem =
        Problem::new(ProblemKind::World, format!("{name} imports something with another type than it has in this host"));
    match difference {
        Some(difference) => problem.because_text(difference),
        None => problem.because(error),
    }
}

/// What to do about a core module whose imports do not fit.
const REBUILD_MODULE: &str = "build it with a toolchain for WASI preview 1, as for wasm32-wasip1";

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("name", &self.name).field("description", &self.description).finish_non_exhaustive()
    }
}

impl Plugin {
    /// Its name: that of its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is known of it.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Its compiled code, for [`Host::load_trusted`] of the same version on the same kind of machine.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("plugin.cwasm");
    /// let host = aiohost::Host::builder().build()?;
    /// let plugin = host.load_bytes("plugin.wat", b"(component)")?;
    /// std::fs::write(&path, plugin.compiled()?)?;
    /// // SAFETY: it was made just now, and nobody else writes there.
    /// let same = unsafe { host.load_trusted(&path) }?;
    /// assert_eq!(same.description().engine, plugin.description().engine);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If there is not enough memory.
    pub fn compiled(&self) -> Result<Vec<u8>> {
        let code = self.linked.serialize();
        let problem =
            |error| Problem::new(ProblemKind::Host, format!("cannot get at the code of {}", self.name)).because(error);
        Ok(sealed::seal(code.map_err(problem)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_into_the_cache_stayed_in_memory_beside_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (code, key) = (dir.path().join("code"), dir.path().join("key"));
        let host = Host::builder().cache_dir(&code).cache_key(&key).build().expect("a host");
        let plugin = host.load_bytes("plugin.wat", b"(component (core module (func (export \"f\"))))").expect("a plugin");
        let maps = std::fs::read_to_string("/proc/self/maps").expect("procfs is there");
        assert!(maps.contains(code.to_str().expect("a name in UTF-8")), "it is mapped from there");
        drop(plugin);
    }
}
