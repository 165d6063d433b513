//! A directory that plugins get: opened once, and held against those that were granted before.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;

use crate::ctx::AioCtxBuilder;
use crate::granted::{GrantName, Granted};
use crate::problem::{Problem, ProblemKind, Result};
use crate::sandbox::{Location, Rights, refusal};

/// Directories that are open, each with what is known of it, in the order in which they were granted.
#[derive(Default)]
pub(super) struct OpenGrants {
    pub(super) granted: Vec<Granted>,
    dirs: Vec<Dir>,
}

/// A directory that is to be granted.
pub(super) struct Wanted {
    pub(super) host: PathBuf,
    pub(super) guest: String,
    pub(super) rights: Rights,
}

impl OpenGrants {
    /// Opens a directory and adds it to the others, if it fits beside them.
    pub(super) fn open(&mut self, wanted: &Wanted) -> Result<()> {
        let shown = wanted.host.display().to_string();
        let opened = Dir::open_ambient_dir(&wanted.host, cap_std::ambient_authority());
        // To open a directory may take no right to read it; to list it does.
        let opened = opened.and_then(|dir| dir.entries().map(|_| dir));
        let located = opened.and_then(|dir| Ok((Location::of_dir(&dir)?, dir)));
        let (location, dir) =
            located.map_err(|error| problem(&shown).help_with(remedy_for_directory(&wanted.host, &error)).because(error))?;
        if let Some(reason) = refusal(&dir) {
            return Err(problem(&shown).because_text(reason).help_with("grant a directory with files of its own"));
        }
        let name = GrantName::parse(&wanted.guest)?;
        let new = Granted { name, rights: wanted.rights, location, shown };
        new.check_beside(&self.granted)?;
        self.granted.push(new);
        self.dirs.push(dir);
        Ok(())
    }

    /// The same directories once more, with descriptors of their own.
    pub(super) fn try_clone(&self) -> Result<Self> {
        let clone = |(granted, dir): (&Granted, &Dir)| dir.try_clone().map_err(|error| problem(&granted.shown).because(error));
        let dirs = self.granted.iter().zip(&self.dirs).map(clone).collect::<Result<_>>()?;
        Ok(Self { granted: self.granted.clone(), dirs })
    }

    /// Gives them to a guest.
    pub(super) fn give_to(self, builder: AioCtxBuilder) -> AioCtxBuilder {
        let granted = self.granted.into_iter().zip(self.dirs);
        granted.fold(builder, |builder, (granted, dir)| builder.grant(dir, &granted.name, granted.rights))
    }
}

fn remedy_for_directory(host: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => format!("make it first: mkdir -p '{}'", host.display()),
        ErrorKind::NotADirectory => "it is a file: grant the directory it is in".to_owned(),
        ErrorKind::PermissionDenied => "the user who runs the host needs the right to read it".to_owned(),
        _ => "check the path".to_owned(),
    }
}

fn problem(shown: &str) -> Problem {
    Problem::new(ProblemKind::Directory, format!("cannot grant the directory {shown}"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::plugin::Host;

    /// Makes the directory `new` in its second directory.
    const MAKES_DIRECTORY: &str = r#"(module
        (import "wasi_snapshot_preview1" "path_create_directory" (func $make (param i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 8) "new")
        (func (export "_start")
            (if (call $make (i32.const 4) (i32.const 8) (i32.const 3)) (then unreachable))))"#;

    #[test]
    fn a_guest_gets_what_was_granted_whatever_has_its_path_meanwhile() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| dir.path().join(name);
        for name in ["work/sub", "secret"] {
            fs::create_dir_all(path(name)).expect("new directories");
        }
        let builder = Host::builder().dir(path("work"), "/work", Rights::ReadWrite);
        let host = builder.dir(path("work/sub"), "/sub", Rights::ReadWrite).build().expect("a host");
        let plugin = host.load_bytes("test.wat", MAKES_DIRECTORY.as_bytes()).expect("a valid plugin");
        // As an earlier guest might do.
        fs::rename(path("work/sub"), path("work/moved")).expect("a directory of our own");
        symlink(path("secret"), path("work/sub")).expect("a new link");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
        assert_eq!(runtime.block_on(plugin.run([])).expect("it runs"), 0);
        assert!(path("work/moved/new").exists() && !path("secret/new").exists());
    }
}
