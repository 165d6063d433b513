//! A new folder with files in it, which gets its name once all of them are there: a command that fails leaves none.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, RenameFlags};
use rustix::io::Errno;

use super::output_file::help;
use super::remedy::Remedied;
use super::replacement::{fits, with_new_name};

/// What a new folder gets; the umask takes from it.
const MODE: Mode = Mode::from_raw_mode(0o777);

/// A folder on its way to its name. Dropping it removes it.
pub(super) struct NewFolder {
    path: PathBuf,
    /// Where it is meanwhile, until it has arrived.
    meanwhile: Option<PathBuf>,
    /// Folders above it that were made for it, the lowest one first.
    parents: Vec<PathBuf>,
}

impl NewFolder {
    /// Makes an empty folder beside a path that nothing has, and the folders above it that are not there.
    pub(super) fn begin(path: &Path) -> anyhow::Result<Self> {
        let mut folder = Self { path: path.to_owned(), meanwhile: None, parents: Vec::new() };
        folder.make().map_err(|error| problem(path, error))?;
        Ok(folder)
    }

    fn make(&mut self) -> io::Result<()> {
        if self.path.file_name().is_none() || self.path.symlink_metadata().is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let parent = self.path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let above = parent.ancestors().take_while(|folder| !folder.as_os_str().is_empty());
        let missing: Vec<&Path> = above.take_while(|folder| folder.symlink_metadata().is_err()).collect();
        for folder in missing.into_iter().rev() {
            rustix::fs::mkdir(folder, MODE)?;
            self.parents.insert(0, folder.to_owned());
        }
        let (name, ()) = with_new_name(|name| rustix::fs::mkdir(parent.join(name), MODE))?;
        self.meanwhile = Some(parent.join(name));
        Ok(())
    }

    /// Writes a file in it, whose name may have folders before it.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let folder = self.meanwhile.as_deref().unwrap_or(&self.path);
        let write = || -> io::Result<()> {
            fits(content)?;
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            let mut file = File::create_new(&path)?;
            file.write_all(content)?;
            file.sync_all()
        };
        write().map_err(|error| problem(&self.path.join(name), error))
    }

    /// Gives it its name, which nothing may have by now.
    pub(super) fn arrive(mut self) -> anyhow::Result<()> {
        let Some(meanwhile) = self.meanwhile.clone() else { return Ok(()) };
        let renamed = match rustix::fs::renameat_with(CWD, &meanwhile, CWD, &self.path, RenameFlags::NOREPLACE) {
            // A file system that cannot do that.
            Err(Errno::INVAL | Errno::NOSYS) if self.path.symlink_metadata().is_err() => {
                rustix::fs::rename(&meanwhile, &self.path)
            }
            renamed => renamed,
        };
        renamed.map_err(|error| problem(&self.path, error.into()))?;
        self.meanwhile = None;
        self.parents.clear();
        Ok(())
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if let Some(meanwhile) = &self.meanwhile
            && let Err(error) = fs::remove_dir_all(meanwhile)
        {
            tracing::warn!(%error, folder = %meanwhile.display(), "a folder that was not finished is left");
        }
        for parent in &self.parents {
            // Somebody may have put something into it.
            let _ = fs::remove_dir(parent);
        }
    }
}

fn problem(path: &Path, error: io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::AlreadyExists {
        let help = "choose another name, or remove it first: nothing in it was changed".to_owned();
        return Remedied { what: format!("{} exists already", path.display()), help }.into();
    }
    let help = help(path, &error);
    anyhow::Error::new(error).context(Remedied { what: format!("cannot write {}", path.display()), help })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_empty(dir: &Path) -> bool {
        fs::read_dir(dir).expect("a directory of our own").next().is_none()
    }

    #[test]
    fn a_folder_has_its_name_once_it_is_whole() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("folder");
        let folder = NewFolder::begin(&path).expect("a new folder");
        folder.write("a/b", b"text").expect("space");
        assert!(!path.exists());
        folder.arrive().expect("it arrives");
        assert_eq!(fs::read(path.join("a/b")).expect("it is there"), b"text");
        assert_eq!(fs::read_dir(dir.path()).expect("a directory of our own").count(), 1);
    }

    #[test]
    fn a_folder_that_does_not_arrive_is_gone() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("folder");
        drop(NewFolder::begin(&path).expect("a new folder"));
        assert!(is_empty(dir.path()));
        let deep = NewFolder::begin(&dir.path().join("a/b/c")).expect("a new folder");
        deep.write("d/e", b"text").expect("space");
        drop(deep);
        assert!(is_empty(dir.path()));
        let folder = NewFolder::begin(&path).expect("a new folder");
        folder.write("a", b"text").expect("space");
        fs::create_dir(&path).expect("a directory of our own");
        assert!(folder.arrive().is_err());
        assert!(is_empty(&path), "it has become what was there meanwhile");
        assert_eq!(fs::read_dir(dir.path()).expect("a directory of our own").count(), 1);
    }
}
