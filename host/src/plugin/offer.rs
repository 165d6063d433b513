//! What this host offers to plugins, and what a plugin wants beyond it.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use strsim::levenshtein;
use wit_parser::{PackageId, Resolve, SourceMap};

use super::compile_how::Offer;
use super::world::{ItemKind, World};
use crate::wasi::preview1;

/// The WIT package `aiohost:aio`: the name and the text of each file, for the authors of plugins.
pub const WIT: [(&str, &str); 7] = [
    ("world.wit", include_str!("../../../wit/world.wit")),
    ("types.wit", include_str!("../../../wit/types.wit")),
    ("control.wit", include_str!("../../../wit/control.wit")),
    ("blocking.wit", include_str!("../../../wit/blocking.wit")),
    ("submit.wit", include_str!("../../../wit/submit.wit")),
    ("requests.wit", include_str!("../../../wit/requests.wit")),
    ("streams.wit", include_str!("../../../wit/streams.wit")),
];

/// The version of the WIT package.
pub(super) const AIO_VERSION: &str = "0.1.0";

/// What wasmtime has of WASI 0.2, without the unstable interfaces.
const WASI_0_2: &str = "cli/environment cli/exit cli/stderr cli/stdin cli/stdout cli/terminal-input cli/terminal-output \
    cli/terminal-stderr cli/terminal-stdin cli/terminal-stdout clocks/monotonic-clock clocks/wall-clock filesystem/preopens \
    filesystem/types io/error io/poll io/streams random/insecure random/insecure-seed random/random \
    sockets/instance-network sockets/ip-name-lookup sockets/network sockets/tcp sockets/tcp-create-socket sockets/udp \
    sockets/udp-create-socket";

/// The same of WASI 0.3.
const WASI_0_3: &str = "cli/environment cli/exit cli/stderr cli/stdin cli/stdout cli/terminal-input cli/terminal-output \
    cli/terminal-stderr cli/terminal-stdin cli/terminal-stdout cli/types clocks/monotonic-clock clocks/system-clock \
    clocks/types filesystem/preopens filesystem/types random/insecure random/insecure-seed random/random \
    sockets/ip-name-lookup sockets/types";

/// The functions of WASI preview 1.
const PREVIEW_1: &str = "args_get args_sizes_get clock_res_get clock_time_get environ_get environ_sizes_get fd_advise fd_allocate \
    fd_close fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get fd_filestat_set_size \
    fd_filestat_set_times fd_pread fd_prestat_dir_name fd_prestat_get fd_pwrite fd_read fd_readdir fd_renumber fd_seek fd_sync \
    fd_tell fd_write path_create_directory path_filestat_get path_filestat_set_times path_link path_open path_readlink \
    path_remove_directory path_rename path_symlink path_unlink_file poll_oneoff proc_exit proc_raise random_get sched_yield \
    sock_accept sock_recv sock_send sock_shutdown";

/// What names begin with that are no application's.
const PACKAGES: [&str; 3] = ["aiohost:", "wasi:", preview1::MODULE];

/// Something that a plugin imports and this host does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The import, such as `aiohost:aio/blocking@0.2.0`, `aiohost:aio/blocking@0.1.0 raed` for a function of it, or
    /// `wasi_snapshot_preview1::fd_raed`.
    pub import: String,
    /// What this host has instead.
    pub why: String,
    /// The most similar name that this host has, if one is similar.
    pub closest: Option<String>,
    /// Whether this host has the interface in another version.
    pub is_other_version: bool,
}

/// The name of an interface, apart from its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name<'a> {
    interface: &'a str,
    version: Option<&'a str>,
}

/// The functions of each interface of `aiohost:aio`, by the name of the interface without package.
type Faces = BTreeMap<String, Vec<String>>;

impl World {
    /// The imports that this host does not have. The types of functions are not compared.
    pub fn missing(&self) -> Vec<Missing> {
        self.missing_beside(Offer::Own)
    }

    /// The same on a host with this offer: what may be the application's is not missing.
    pub(super) fn missing_beside(&self, offer: Offer) -> Vec<Missing> {
        let imports = self.imports.iter().filter(|import| match &import.kind {
            // An interface of which only types are used needs nothing from the host.
            ItemKind::Interface(functions) => !functions.is_empty(),
            ItemKind::Type => false,
            ItemKind::Function { .. } | ItemKind::Core(_) | ItemKind::Other => true,
        });
        let may_be_offered = |name: &str| offer == Offer::More && !PACKAGES.iter().any(|package| name.starts_with(package));
        let missing = imports.filter(|import| !may_be_offered(&import.name)).flat_map(|import| {
            let functions: Vec<&str> = import.functions().iter().map(|function| function.name.as_str()).collect();
            missing_of(&import.name, &functions)
        });
        missing.collect()
    }
}

fn missing_of(import: &str, functions: &[&str]) -> Vec<Missing> {
    if import.starts_with(preview1::MODULE) {
        return missing_of_preview_1(import, functions);
    }
    let name = Name::parse(import);
    if let Some(missing) = missing_interface(import, name) {
        return vec![missing];
    }
    let Some(offered) = name.interface.strip_prefix("aiohost:aio/").and_then(|face| faces().get(face)) else {
        return Vec::new();
    };
    let unknown = functions.iter().filter(|function| !offered.iter().any(|offered| offered == *function));
    unknown
        .map(|function| Missing {
            import: format!("{import} {function}"),
            why: format!("this host's {}@{AIO_VERSION} has no such function", name.interface),
            closest: closest(function, offered.iter().map(String::as_str)),
            is_other_version: false,
        })
        .collect()
}

/// What a core module imports of preview 1: functions, or something else by its full name.
fn missing_of_preview_1(import: &str, functions: &[&str]) -> Vec<Missing> {
    let missing = |import, why: &str, closest| Missing { import, why: why.to_owned(), closest, is_other_version: false };
    if functions.is_empty() {
        return vec![missing(import.to_owned(), "WASI preview 1 has functions only", None)];
    }
    let offered = || PREVIEW_1.split_whitespace();
    let unknown = functions.iter().filter(|function| !offered().any(|offered| offered == **function));
    let name = |function: &&&str| format!("{import}::{function}");
    unknown
        .map(|function| missing(name(&function), "WASI preview 1 has no such function", closest(function, offered())))
        .collect()
}

fn missing_interface(import: &str, name: Name<'_>) -> Option<Missing> {
    let here: Vec<String> = offered().collect();
    let of_that_name = here.iter().filter(|offered| Name::parse(offered).interface == name.interface);
    let versions: Vec<&str> = of_that_name.filter_map(|offered| Name::parse(offered).version).collect();
    if versions.is_empty() {
        let why = if name.interface.contains('/') {
            "this host has no such interface"
        } else {
            "this host offers functions in interfaces, and none outside of them"
        };
        let missing = |closest| Missing { import: import.to_owned(), why: why.to_owned(), closest, is_other_version: false };
        return Some(missing(closest(import, here.iter().map(String::as_str))));
    }
    if versions.iter().any(|version| name.version.is_some_and(|wanted| track(wanted) == track(version))) {
        return None;
    }
    let wanted = name.version.unwrap_or("one without a version");
    let is_ours = name.interface.starts_with("aiohost:aio/");
    let age = match name.version.filter(|_| is_ours).map(|wanted| numbers(wanted).cmp(&numbers(AIO_VERSION))) {
        Some(Ordering::Greater) => ": it was built for a newer aiohost",
        Some(Ordering::Less) => ": it was built for an older aiohost",
        Some(Ordering::Equal) | None => "",
    };
    Some(Missing {
        import: import.to_owned(),
        why: format!("this host has {} {}, not {wanted}{age}", name.interface, versions.join(" and ")),
        closest: None,
        is_other_version: is_ours,
    })
}

/// The numbers of a version, to tell the older from the newer one.
fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['-', '+']).next().unwrap_or(version);
    release.split('.').map(|number| number.parse().unwrap_or(0)).collect()
}

/// All interfaces that are offered, with a version each.
fn offered() -> impl Iterator<Item = String> {
    let aio = faces().keys().map(|face| format!("aiohost:aio/{face}@{AIO_VERSION}"));
    let wasi_0_2 = WASI_0_2.split_whitespace().map(|interface| format!("wasi:{interface}@0.2.0"));
    let wasi_0_3 = WASI_0_3.split_whitespace().map(|interface| format!("wasi:{interface}@0.3.0"));
    aio.chain(wasi_0_2).chain(wasi_0_3)
}

fn faces() -> &'static Faces {
    static FACES: LazyLock<Faces> = LazyLock::new(|| {
        // A test sees to it that the package can be parsed; should it not, then nothing is reported as missing.
        parse_faces().unwrap_or_default()
    });
    &FACES
}

/// Adds the WIT package of this host to those that are known already.
pub(super) fn push_package(resolve: &mut Resolve) -> anyhow::Result<PackageId> {
    let mut sources = SourceMap::new();
    for (name, text) in WIT {
        sources.push(name.as_ref(), text);
    }
    let group = sources.parse().map_err(|(_, error)| anyhow::anyhow!("{error}"))?;
    Ok(resolve.push_group(group)?)
}

fn parse_faces() -> anyhow::Result<Faces> {
    let mut resolve = Resolve::new();
    push_package(&mut resolve)?;
    let interfaces = resolve.interfaces.iter().filter_map(|(_, interface)| {
        let functions = interface.functions.keys().cloned().collect();
        Some((interface.name.clone()?, functions))
    });
    Ok(interfaces.collect())
}

impl<'a> Name<'a> {
    fn parse(name: &'a str) -> Self {
        match name.split_once('@') {
            Some((interface, version)) => Self { interface, version: Some(version) },
            None => Self { interface: name, version: None },
        }
    }
}

/// The part of a version that must be equal for two to fit, as wasmtime has it: up to the first number that is not 0.
fn track(version: &str) -> &str {
    let numbers = version.split(['-', '+']).next().unwrap_or(version);
    if version[numbers.len()..].starts_with('-') {
        return version;
    }
    let mut end = 0;
    for number in numbers.split('.') {
        end += number.len();
        if number != "0" {
            break;
        }
        end += 1;
    }
    &version[..end.min(numbers.len())]
}

/// The candidate with the fewest changed characters, if they are few.
pub(super) fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let measured = candidates.map(|candidate| (levenshtein(name, candidate), candidate));
    let (distance, candidate) = measured.min_by_key(|(distance, _)| *distance)?;
    (distance <= name.chars().count() / 3).then(|| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::compile_how::Epochs;
    use crate::plugin::machine::{EngineKind, Machine};

    #[test]
    fn the_package_can_be_parsed_and_has_all_faces() {
        let faces = parse_faces().expect("a valid package");
        let names: Vec<&str> = faces.keys().map(String::as_str).collect();
        assert_eq!(names, ["blocking", "control", "requests", "streams", "submit", "types"]);
        assert!(faces["types"].iter().any(|function| function == "[method]request.wait"));
        assert!(WIT.iter().all(|(_, text)| text.contains(&format!("package aiohost:aio@{AIO_VERSION};"))));
    }

    #[test]
    fn what_is_said_to_be_offered_is_in_the_linker() {
        let machine = Machine::new(EngineKind::Concurrent, Epochs::Checked, &[]).expect("an engine");
        let mut linker = machine.linker().expect("nothing hinders it").clone();
        for name in offered() {
            let (interface, version) = name.split_once('@').expect("a version");
            let track = track(version);
            // Nothing can be added under a name that is taken. Which patch level the linker has is wasmtime's affair.
            let taken = (0..100).any(|patch| {
                let name = format!("{interface}@{track}.{patch}");
                linker.root().func_wrap(&name, |_, (): ()| Ok(())).is_err()
            });
            // Interfaces with types alone are not in any linker.
            assert!(taken || interface.ends_with("/types"), "{name}");
        }
    }

    #[test]
    fn the_functions_of_preview_1_are_in_the_linker() {
        let machine = Machine::new(EngineKind::Plain, Epochs::Checked, &[]).expect("an engine");
        for function in PREVIEW_1.split_whitespace() {
            let mut linker = machine.modules().expect("nothing hinders it").clone();
            // Nothing can be added under a name that is taken.
            assert!(linker.func_wrap(preview1::MODULE, function, || {}).is_err(), "{function}");
        }
    }

    #[test]
    fn what_is_missing_of_preview_1_is_named_with_what_comes_nearest() {
        assert_eq!(missing_of(preview1::MODULE, &["fd_read", "proc_exit"]), []);
        let function = missing_of(preview1::MODULE, &["fd_read", "fd_raed"]).remove(0);
        assert_eq!(function.import, "wasi_snapshot_preview1::fd_raed");
        assert_eq!(function.closest.as_deref(), Some("fd_read"));
        let memory = missing_of("wasi_snapshot_preview1::memory", &[]).remove(0);
        assert_eq!(
            (memory.import.as_str(), memory.why.as_str()),
            ("wasi_snapshot_preview1::memory", "WASI preview 1 has functions only")
        );
    }

    #[test]
    fn what_is_there_is_not_missing() {
        assert_eq!(missing_of("aiohost:aio/blocking@0.1.0", &["nop", "stat"]), []);
        assert_eq!(missing_of("aiohost:aio/blocking@0.1.7", &["nop"]), []);
        assert_eq!(missing_of("aiohost:aio/types@0.1.0", &["[method]request.wait"]), []);
        assert_eq!(missing_of("wasi:cli/stdout@0.2.6", &["get-stdout"]), []);
        assert_eq!(missing_of("wasi:random/random@0.3.2", &["get-random-u64"]), []);
    }

    #[test]
    fn what_is_missing_is_named_with_what_comes_nearest() {
        let missing = |import: &str, function: &str| missing_of(import, &[function]).remove(0);
        let function = missing("aiohost:aio/blocking@0.1.0", "sttat");
        assert_eq!(function.import, "aiohost:aio/blocking@0.1.0 sttat");
        assert_eq!(function.closest.as_deref(), Some("stat"));
        let interface = missing("aiohost:aio/blokcing@0.1.0", "stat");
        assert_eq!(interface.closest.as_deref(), Some("aiohost:aio/blocking@0.1.0"));
        assert_eq!(missing("example:other/thing", "f").closest, None);
        assert_eq!(missing_of("env", &[])[0].why, "this host offers functions in interfaces, and none outside of them");
    }

    #[test]
    fn another_version_is_called_that() {
        let why = |import: &str| missing_of(import, &["f"]).remove(0).why;
        let newer = "this host has aiohost:aio/blocking 0.1.0, not 0.2.0: it was built for a newer aiohost";
        assert_eq!(why("aiohost:aio/blocking@0.2.0"), newer);
        assert_eq!(why("wasi:cli/stdout@0.2.0-rc-2023"), "this host has wasi:cli/stdout 0.2.0 and 0.3.0, not 0.2.0-rc-2023");
        assert_eq!(why("wasi:cli/stdout"), "this host has wasi:cli/stdout 0.2.0 and 0.3.0, not one without a version");
    }

    #[test]
    fn a_track_ends_at_the_first_number_that_is_not_zero() {
        let tracks = ["1.2.3", "0.2.6", "0.0.4", "0.2.3+abc", "0.2.0-rc"].map(track);
        assert_eq!(tracks, ["1", "0.2", "0.0.4", "0.2", "0.2.0-rc"]);
    }

    #[test]
    fn a_distance_counts_changed_characters() {
        assert_eq!(
            [levenshtein("", "abc"), levenshtein("abc", "abc"), levenshtein("read", "raed"), levenshtein("stat", "lstat")],
            [3, 0, 2, 1]
        );
    }
}
