//! What is run as native code, held against what plugins reach: compiled plugins, the code cache, and its key. With them go the
//! images that were fetched, which lie beside the code.
//!
//! A plugin that can write such a file has whatever rights the next run has. So a directory that reaches one is not granted, or
//! the file is not used.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::places;
use crate::granted::Granted;
use crate::problem::{Problem, ProblemKind, Result};
use crate::sandbox::{Location, MountTable, Rights, Route};

/// Where a host keeps compiled code, and the key that this is sealed with.
#[derive(Clone, Debug)]
pub(super) struct CachePlace {
    pub(super) dir: PathBuf,
    pub(super) key_file: PathBuf,
}

/// A directory, or a file, that plugins are kept from.
struct Guarded {
    path: PathBuf,
    kind: Kind,
    /// Whether this host uses it. It is made then if it is not there.
    is_used: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Images,
    Key,
}

/// A granted directory that reaches what plugins are kept from.
pub(super) struct Reached<'a> {
    grant: &'a Granted,
    guarded: Guarded,
}

/// Every cache and every key that is known, whether this host uses it or another run does, and a grant that reaches it.
pub(super) fn reached<'a>(grants: &'a [Granted], used: Option<&CachePlace>) -> Vec<Reached<'a>> {
    if grants.is_empty() {
        return Vec::new();
    }
    let mounts = MountTable::now();
    let guarded = known(used).into_iter();
    let reached = guarded.filter_map(|guarded| {
        let grant = guarded.reached_by(grants, &mounts)?;
        Some(Reached { grant, guarded })
    });
    reached.collect()
}

/// Fails if a directory that one guest is to get reaches what plugins are kept from. A cache that this host uses is refused whatever
/// the host allows: it is in use already.
pub(super) fn check_guest(grants: &[Granted], used: Option<&CachePlace>, is_allowed: bool) -> Result<()> {
    let reached = reached(grants, used);
    match reached.iter().find(|reached| reached.is_used() || !is_allowed) {
        Some(reached) => Err(reached.problem()),
        None => Ok(()),
    }
}

fn known(used: Option<&CachePlace>) -> Vec<Guarded> {
    let used = used.map(|place| [(place.dir.clone(), Kind::Code), (place.key_file.clone(), Kind::Key)]);
    let used = used.into_iter().flatten().map(|(path, kind)| Guarded { path, kind, is_used: true });
    let others = places::cache_dirs(&places::variable).into_iter().map(|path| (path, Kind::Code));
    let others = others.chain(places::image_dirs(&places::variable).into_iter().map(|path| (path, Kind::Images)));
    let others = others.chain(places::key_files(&places::variable).into_iter().map(|path| (path, Kind::Key)));
    let mut known: Vec<Guarded> = used.collect();
    for (path, kind) in others {
        if known.iter().all(|guarded| guarded.path != path) {
            known.push(Guarded { path, kind, is_used: false });
        }
    }
    known
}

impl Guarded {
    fn reached_by<'a>(&self, grants: &'a [Granted], mounts: &MountTable) -> Option<&'a Granted> {
        let route = Route::of(&self.path);
        let is_there = route.end.is_some() || self.is_used;
        // What is about to be made will be in the last directory that is there.
        let place = route.end.as_ref().or_else(|| route.through.last().filter(|_| self.is_used));
        grants.iter().find(|grant| {
            let reaches = |place: &Location| mounts.reaches(&grant.location, place);
            let decides = || route.through.iter().chain(&route.end).any(reaches);
            // All that is in a cache is aiohost's, and nothing of it a plugin's.
            let is_inside = || route.end.as_ref().is_some_and(|cache| mounts.reaches(cache, &grant.location));
            match (self.kind, grant.rights) {
                // A plugin that makes a cache gains nothing: it has no key for it.
                (Kind::Code | Kind::Images, Rights::ReadWrite) => is_there && (decides() || is_inside()),
                (Kind::Code | Kind::Images, Rights::Read) => false,
                // But one that makes the key has it.
                (Kind::Key, Rights::ReadWrite) => decides(),
                (Kind::Key, Rights::Read) => place.is_some_and(reaches),
            }
        })
    }
}

impl Reached<'_> {
    /// Whether it is the cache, or the key, of this host.
    pub(super) fn is_used(&self) -> bool {
        self.guarded.is_used
    }

    pub(super) fn grant(&self) -> &str {
        &self.grant.shown
    }

    /// Why the directory is not granted.
    pub(super) fn problem(&self) -> Problem {
        let path = self.guarded.path.display();
        let (what, why) = match self.guarded.kind {
            Kind::Code => ("the code cache", format!("{path} holds native code that later runs execute")),
            Kind::Images => ("the cache of images", format!("{path} holds what later runs take for the images of plugins")),
            Kind::Key => {
                ("the key of the code cache", format!("with {path} a plugin could make native code that later runs execute"))
            }
        };
        Problem::new(ProblemKind::Directory, format!("cannot grant the directory {}: it reaches {what}", self.grant()))
            .because_text(why)
            .help_for(
                format!("{ELSEWHERE}; or insist with HostBuilder::allow_cache_grant"),
                format!("{ELSEWHERE}; or insist with --allow cache-grant"),
            )
    }
}

/// What helps against a grant that reaches the cache.
const ELSEWHERE: &str =
    "grant a directory that does not reach it, or move it: AIOHOST_CACHE and AIOHOST_STATE say where code and key are";

/// Fails if a plugin may have written a compiled plugin, or may do so now. `file` is what `path` led to when it was opened.
pub(super) fn check_compiled(name: &str, path: &Path, file: &File, grants: &[Granted]) -> Result<()> {
    let Some(why) = writable(path, file, grants) else { return Ok(()) };
    Err(Problem::new(ProblemKind::Directory, format!("{name} is compiled code that a plugin may write, and is not run"))
        .because_text(why)
        .help_for(
            "move it to where nothing is granted for writing, or grant its directory with Rights::Read; or run the .wasm that it \
             was compiled from",
            "move it to where nothing is granted for writing, or grant its directory with --ro-dir; or run the .wasm that it was \
             compiled from",
        ))
}

/// How plugins get at the file, if they do.
fn writable(path: &Path, file: &File, grants: &[Granted]) -> Option<String> {
    let grants: Vec<&Granted> = grants.iter().filter(|grant| grant.rights == Rights::ReadWrite).collect();
    let shown = grants.first().map(|grant| &grant.shown)?;
    let (Ok(status), Ok(here)) = (file.metadata(), Location::of_open(file)) else {
        return Some("it cannot be looked at".to_owned());
    };
    let (mounts, route) = (MountTable::now(), Route::of(path));
    let places = || route.through.iter().chain(&route.end).chain([&here]);
    if let Some(grant) = grants.iter().find(|grant| places().any(|place| mounts.reaches(&grant.location, place))) {
        return Some(format!("it is within reach of {}, which is granted for writing", grant.shown));
    }
    // What comes through a pipe has no place.
    if !status.is_file() {
        return None;
    }
    if !route.end.is_some_and(|end| end.is_of(file)) {
        return Some(format!("it cannot be told whether it is within reach of {shown}, which is granted for writing"));
    }
    let sharing = grants.iter().find(|grant| status.nlink() > 1 && mounts.may_share(&grant.location, &here))?;
    Some(format!(
        "it has another name as well, a hard link, which may be within reach of {}, which is granted for writing",
        sharing.shown
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{Host, HostBuilder};

    /// A place with the directories `granted` and `apart`.
    fn place() -> (tempfile::TempDir, impl Fn(&str) -> PathBuf) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().to_owned();
        let path = move |name: &str| path.join(name);
        for name in ["granted", "apart"] {
            std::fs::create_dir(path(name)).expect("a new directory");
        }
        (dir, path)
    }

    fn refusal(builder: HostBuilder) -> Option<String> {
        let problem = builder.build().err()?;
        assert_eq!(problem.kind(), ProblemKind::Directory);
        assert!(problem.help().is_some_and(|help| help.contains("HostBuilder::allow_cache_grant")), "{problem:?}");
        Some(problem.to_string())
    }

    #[test]
    fn a_grant_that_reaches_this_hosts_cache_is_refused_unless_it_is_insisted_on() {
        let (_dir, path) = place();
        let host = |rights, cache: &str, key: &str| {
            Host::builder().dir(path("granted"), "d", rights).cache_dir(path(cache)).cache_key(path(key))
        };
        // Whether they are there yet or not.
        for _ in 0..2 {
            for (rights, cache, key, reaches) in [
                (Rights::ReadWrite, "granted/code", "apart/key", Some("it reaches the code cache")),
                (Rights::ReadWrite, "apart/code", "granted/key", Some("it reaches the key of the code cache")),
                (Rights::Read, "apart/code", "granted/key", Some("it reaches the key of the code cache")),
                (Rights::Read, "granted/code", "apart/key", None),
                (Rights::ReadWrite, "apart/code", "apart/key", None),
            ] {
                let refused = refusal(host(rights, cache, key));
                assert_eq!(refused.is_some(), reaches.is_some(), "{rights:?} {cache} {key}: {refused:?}");
                assert!(refused.is_none_or(|what| what.ends_with(reaches.unwrap_or("?"))), "{rights:?} {cache} {key}");
                let insisted = host(rights, cache, key).allow_cache_grant().build().expect("it was insisted on");
                assert_eq!(insisted.0.cache.is_some(), reaches.is_none(), "{rights:?} {cache} {key}");
            }
            for name in ["granted", "apart"] {
                Host::builder().cache_dir(path(name).join("code")).cache_key(path(name).join("key")).build().expect("a host");
            }
        }
    }
}
