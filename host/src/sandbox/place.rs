//! A directory and a path below it, and the operations that go by name.

use std::ffi::OsStr;
use std::fs::File;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags as SystemFlags};
use rustix::io::Errno;
use wasmtime::component::flags;

use super::descriptor::CountedFd;
use super::dir::{Base, OpenDir};
use super::file::OpenFile;
use super::grant::{Grants, Shared};
use super::path::{Last, RelativePath, Split};
use super::regular::{check_directory, check_regular};
use super::resolve::{OpenHow, open_beneath};
use super::storage::OpenedOn;
use super::{Read, Right, Rights, Wait, Write, procfs, status, sys};
use crate::error::{Error, Result};
use crate::types::{FileType, Status};

// `aiohost:aio/types.open-flags`.
flags! {
    OpenFlags {
        #[component(name = "read")]
        const READ;
        #[component(name = "write")]
        const WRITE;
        #[component(name = "append")]
        const APPEND;
        #[component(name = "create")]
        const CREATE;
        #[component(name = "exclusive")]
        const EXCLUSIVE;
        #[component(name = "truncate")]
        const TRUNCATE;
        #[component(name = "no-follow")]
        const NO_FOLLOW;
        #[component(name = "data-sync")]
        const DATA_SYNC;
        #[component(name = "sync")]
        const SYNC;
    }
}

/// `O_DSYNC`. What `rustix` calls so is `O_SYNC` in some of its versions, and brings the file's times to the device as well.
const DATA_SYNC: OFlags = OFlags::from_bits_retain(libc::O_DSYNC.cast_unsigned());

// `aiohost:aio/types.rename-flags`.
flags! {
    RenameFlags {
        #[component(name = "no-replace")]
        const NO_REPLACE;
        #[component(name = "exchange")]
        const EXCHANGE;
    }
}

/// What a path names, with the right `R` to it.
#[derive(Debug)]
pub(crate) struct Place<R> {
    pub(super) base: Base,
    pub(super) path: RelativePath,
    pub(super) shared: Arc<Shared>,
    right: PhantomData<R>,
}

/// A directory on the way: the one the path starts from, or one that was opened.
pub(super) enum Parent<'a> {
    Base(&'a File),
    Opened(OwnedFd),
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Base(file) => file.as_fd(),
            Self::Opened(fd) => fd.as_fd(),
        }
    }
}

/// A single name in an open directory. It holds no slash and is neither `.` nor `..`, so a `*at` call that does not follow
/// symbolic links can only touch that directory.
pub(super) struct NameIn<'a> {
    pub(super) dir: Parent<'a>,
    pub(super) name: &'a OsStr,
    pub(super) slash: bool,
}

impl NameIn<'_> {
    pub(super) fn is_directory_unchecked(&self) -> Result<bool> {
        let stat = sys::statat(&self.dir, self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
    }

    /// A slash after a name says that it is a directory. The kernel is never given one: calls differ in what they make of it.
    pub(super) fn check_slash(&self) -> Result<()> {
        if self.slash && !self.is_directory_unchecked()? { Err(Error::NOT_DIRECTORY) } else { Ok(()) }
    }

    /// The same for a name that is to be made, and not as a directory: with a slash it is taken, or cannot be.
    pub(super) fn check_new(&self) -> Result<()> {
        if !self.slash {
            return Ok(());
        }
        match self.is_directory_unchecked() {
            Ok(_) => Err(Error::EXIST),
            Err(Error::NO_ENTRY) => Err(Error::NOT_DIRECTORY),
            Err(error) => Err(error),
        }
    }
}

impl Place<Read> {
    pub(crate) fn find(grants: &Grants, at: Option<&OpenDir>, path: String) -> Result<Self> {
        let (base, path) = grants.find(at, path)?;
        Ok(Self { base, path, shared: Arc::clone(&grants.shared), right: PhantomData })
    }

    /// The same place with the right to change it, if it was granted.
    pub(crate) fn writable(self) -> Result<Place<Write>> {
        match self.base.rights {
            Rights::ReadWrite => Ok(Place { base: self.base, path: self.path, shared: self.shared, right: PhantomData }),
            Rights::Read => Err(Error::READ_ONLY),
        }
    }
}

impl<R> Place<R> {
    /// Bytes of memory that its path holds.
    pub(crate) fn bytes(&self) -> usize {
        self.path.as_os_str().len()
    }
}

impl<R: Right> Place<R> {
    pub(super) fn open(&self, flags: OFlags, mode: Mode, wait: Wait) -> Result<OwnedFd> {
        Ok(self.locate(flags, mode, wait)?.fd)
    }

    fn locate(&self, flags: OFlags, mode: Mode, wait: Wait) -> Result<OpenedOn> {
        let how = OpenHow { flags, mode, rights: R::RIGHTS, wait };
        open_beneath(&self.shared.paths, self.base.start(), self.path.as_os_str(), how)
    }

    /// The directory of the last name, and that name; `dots` is the answer where there is none, unless the way there is missing.
    pub(super) fn entry(&self, dots: Error) -> Result<NameIn<'_>> {
        let split = self.path.split();
        let Last::Name(name) = split.last else {
            let missing = [Error::NO_ENTRY, Error::NOT_DIRECTORY];
            let way = self.open(OFlags::PATH, Mode::empty(), Wait::May).err();
            return Err(way.filter(|error| missing.contains(error)).unwrap_or(dots));
        };
        let (dir, storage) = match split.parent {
            None => (Parent::Base(&self.base.file), self.base.storage),
            Some(parent) => {
                let flags = OFlags::PATH | OFlags::DIRECTORY;
                let how = OpenHow { flags, mode: Mode::empty(), rights: R::RIGHTS, wait: Wait::May };
                let opened = open_beneath(&self.shared.paths, self.base.start(), parent, how)?;
                (Parent::Opened(opened.fd), opened.storage)
            }
        };
        self.shared.paths.mounts.admit_name_unchecked(&dir, storage, name, R::RIGHTS)?;
        Ok(NameIn { dir, name, slash: split.slash })
    }

    /// The status of what the path leads to.
    pub(crate) fn stat(&self, wait: Wait) -> Result<Status> {
        let split = self.path.split();
        // A single name needs no way to be gone, unless it is a link.
        if wait == Wait::May
            && split.parent.is_none()
            && let Some(status) = self.status_of_name(&split)?
            && status.kind != FileType::SymbolicLink
        {
            return Ok(status);
        }
        status::of_fd(self.open(OFlags::PATH, Mode::empty(), wait)?, &self.shared.key, wait)
    }

    /// The status of what the path names.
    pub(crate) fn lstat(&self, wait: Wait) -> Result<Status> {
        let split = self.path.split();
        if split.slash || split.last == Last::Dots {
            return self.stat(wait);
        }
        if wait == Wait::May
            && let Some(status) = self.status_of_name(&split)?
        {
            return Ok(status);
        }
        status::of_fd(self.open(OFlags::PATH | OFlags::NOFOLLOW, Mode::empty(), wait)?, &self.shared.key, wait)
    }

    /// The status of what the last name of the path stands for, by one call on its directory. None if it has to be opened and
    /// looked at.
    fn status_of_name(&self, split: &Split<'_>) -> Result<Option<Status>> {
        if split.slash || split.last == Last::Dots {
            return Ok(None);
        }
        let entry = self.entry(Error::INVALID)?;
        status::of_name_unchecked(&entry.dir, entry.name, &self.shared.key)
    }

    pub(crate) fn open_dir(&self, wait: Wait) -> Result<OpenDir> {
        self.open_dir_as(OFlags::empty(), wait)
    }

    /// The same. With `NOFOLLOW` a symbolic link is one too many, of which the kernel itself says only that it is no directory.
    pub(super) fn open_dir_as(&self, link: OFlags, wait: Wait) -> Result<OpenDir> {
        let token = self.shared.quota.take()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let OpenedOn { fd, storage } = if link.contains(OFlags::NOFOLLOW) {
            let object = self.locate(OFlags::PATH | OFlags::NOFOLLOW, Mode::empty(), wait)?;
            check_directory(&object.fd)?;
            OpenedOn { fd: procfs::reopen(&object.fd, flags, wait)?, storage: object.storage }
        } else {
            self.locate(flags, Mode::empty(), wait)?
        };
        let root = Arc::clone(&self.base.root);
        let file = Arc::new(CountedFd::new(fd, token, &self.shared.quota));
        Ok(OpenDir { base: Base { file, storage, rights: self.base.rights, root } })
    }

    pub(super) fn open_to_list(&self) -> Result<OwnedFd> {
        self.open(OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty(), Wait::May)
    }

    /// The directory above a tree. From here on it is gone through by names, so there are no trees of the kernel's own files.
    pub(super) fn open_tree(&self) -> Result<OwnedFd> {
        let OpenedOn { fd, storage } = self.locate(OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty(), Wait::May)?;
        if storage.holds_files() { Ok(fd) } else { Err(Error::NOT_PERMITTED) }
    }

    /// Opens a regular file. Nothing else is ever opened: a FIFO may keep a worker waiting for ever, and to open it wakes those
    /// who wait at its other end; a device may do anything.
    fn open_file(&self, access: OFlags, mode: Mode, wait: Wait) -> Result<OpenFile> {
        let token = self.shared.quota.take()?;
        let opened = if !access.contains(OFlags::CREATE) {
            self.reopen(access, wait)?
        } else if access.contains(OFlags::EXCL) {
            self.make_file(access, mode, wait)?
        } else {
            self.reopen_or_make(access, mode, wait)?
        };
        let file = CountedFd::new(opened.fd, token, &self.shared.quota);
        let (locks, key) = (&self.shared.locks, self.shared.key.clone());
        Ok(OpenFile::new(file, opened.storage, access, self.base.rights, locks, key))
    }

    /// Opens what is there, or makes a file where nothing is. What comes to be there in between is looked at again: it may be a FIFO.
    fn reopen_or_make(&self, access: OFlags, mode: Mode, wait: Wait) -> Result<OpenedOn> {
        let mut target = None;
        for _ in 0..LOOKS_MAX {
            let place = target.as_ref().unwrap_or(self);
            match place.reopen(access, wait) {
                Err(Error::NO_ENTRY) => {}
                result => return result,
            }
            match place.make_file(access | OFlags::EXCL, mode, wait) {
                Err(Error::EXIST) => {}
                result => return result,
            }
            // By a link that leads nowhere the file is made where it leads.
            let target_of_link = place.target_of_link()?;
            target = target_of_link.or(target);
        }
        Err(Error::NOT_YET)
    }

    /// What the last name of the path leads to, if it is a symbolic link.
    fn target_of_link(&self) -> Result<Option<Self>> {
        let entry = self.entry(Error::EXIST)?;
        match sys::readlinkat(&entry.dir, entry.name, Vec::new()) {
            Ok(target) => {
                let path = self.path.with_last(target.as_bytes()).ok_or(Error::NOT_PERMITTED)?;
                let (base, shared) = (self.base.clone(), Arc::clone(&self.shared));
                Ok(Some(Self { base, path, shared, right: PhantomData }))
            }
            // It is no link, or gone.
            Err(Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes a file where none was, with `O_EXCL`: whatever came to be there just now is not opened.
    fn make_file(&self, access: OFlags, mode: Mode, wait: Wait) -> Result<OpenedOn> {
        let split = self.path.split();
        if split.last == Last::Dots {
            // It is there already, if the way there is.
            self.open(OFlags::PATH, Mode::empty(), wait)?;
            return Err(Error::EXIST);
        }
        // Where something is made it is too late to look afterwards at where that lies.
        self.entry(Error::EXIST)?;
        if split.slash {
            // What the path says is a directory.
            return Err(Error::IS_DIRECTORY);
        }
        self.locate(access | HARMLESS, mode, wait)
    }

    /// Opens what is there, once it is known to be a regular file.
    fn reopen(&self, access: OFlags, wait: Wait) -> Result<OpenedOn> {
        let object = self.locate(OFlags::PATH | access.intersection(OFlags::NOFOLLOW), Mode::empty(), wait)?;
        check_regular(&object.fd)?;
        let made = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let fd = procfs::reopen(&object.fd, access.difference(made) | HARMLESS, wait)?;
        Ok(OpenedOn { fd, storage: object.storage })
    }

    /// The same, for an operation of its own.
    pub(super) fn reopen_file(&self, access: OFlags, wait: Wait) -> Result<OwnedFd> {
        Ok(self.reopen(access, wait)?.fd)
    }
}

/// How often it is looked at what is there, before a file is made. 40: as many links as Linux follows.
const LOOKS_MAX: usize = 40;

/// What an open may be given in any case: it makes no terminal the host's own, and waits for nobody.
const HARMLESS: OFlags = OFlags::NOCTTY.union(OFlags::NONBLOCK);

/// Flags for `open`, parsed. A `ReadOptions` cannot create or truncate anything.
#[derive(Debug)]
enum OpenAs {
    Read(OFlags),
    Write(OFlags),
}

impl OpenAs {
    fn parse(flags: OpenFlags) -> Result<Self> {
        let has = |flag| flags & flag == flag;
        let writes = has(OpenFlags::WRITE) || has(OpenFlags::APPEND);
        let no_access = !has(OpenFlags::READ) && !writes;
        let lone_create = has(OpenFlags::CREATE) && !writes || has(OpenFlags::EXCLUSIVE) && !has(OpenFlags::CREATE);
        let lone_truncate = has(OpenFlags::TRUNCATE) && !has(OpenFlags::WRITE);
        if no_access || lone_create || lone_truncate || has(OpenFlags::TRUNCATE | OpenFlags::APPEND) {
            return Err(Error::INVALID);
        }
        let oflags = Self::system(flags);
        Ok(if writes { Self::Write(oflags) } else { Self::Read(oflags) })
    }

    /// As `open(2)` takes them: also a file that is made or emptied, and opened for reading. What has to be granted for writing is
    /// told apart all the same.
    fn parse_leniently(flags: OpenFlags) -> Self {
        let has = |flag| flags & flag == flag;
        let changes = [OpenFlags::WRITE, OpenFlags::CREATE, OpenFlags::TRUNCATE].into_iter().any(has);
        let oflags = Self::system(flags);
        if changes { Self::Write(oflags) } else { Self::Read(oflags) }
    }

    fn system(flags: OpenFlags) -> OFlags {
        let has = |flag| flags & flag == flag;
        let mut oflags = match (has(OpenFlags::READ), has(OpenFlags::WRITE) || has(OpenFlags::APPEND)) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            _ => OFlags::RDONLY,
        };
        for (flag, oflag) in [
            (OpenFlags::APPEND, OFlags::APPEND),
            (OpenFlags::CREATE, OFlags::CREATE),
            (OpenFlags::EXCLUSIVE, OFlags::EXCL),
            (OpenFlags::TRUNCATE, OFlags::TRUNC),
            (OpenFlags::NO_FOLLOW, OFlags::NOFOLLOW),
            (OpenFlags::DATA_SYNC, DATA_SYNC),
            (OpenFlags::SYNC, OFlags::SYNC),
        ] {
            if has(flag) {
                oflags |= oflag;
            }
        }
        oflags
    }
}

/// A file to be opened, with the flags and the rights already checked against each other.
#[derive(Debug)]
pub(crate) enum Opening {
    Read(Place<Read>, OFlags),
    Write(Place<Write>, OFlags, Mode),
}

impl Opening {
    /// Bytes of memory that its path holds.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Read(place, _) => place.bytes(),
            Self::Write(place, ..) => place.bytes(),
        }
    }

    pub(crate) fn new(place: Place<Read>, flags: OpenFlags, mode: u16) -> Result<Self> {
        Self::with(place, OpenAs::parse(flags)?, mode)
    }

    fn with(place: Place<Read>, flags: OpenAs, mode: u16) -> Result<Self> {
        Ok(match flags {
            OpenAs::Read(flags) => Self::Read(place, flags),
            OpenAs::Write(flags) => Self::Write(place.writable()?, flags, permissions(mode)),
        })
    }

    /// With flags as `open(2)` takes them.
    pub(super) fn lenient(place: Place<Read>, flags: OpenFlags, mode: u16) -> Result<Self> {
        Self::with(place, OpenAs::parse_leniently(flags), mode)
    }

    /// Opens what is no file after all.
    pub(super) fn open_dir(&self, flags: OFlags, wait: Wait) -> Result<OpenDir> {
        match self {
            Self::Read(place, _) => place.open_dir_as(flags, wait),
            Self::Write(place, ..) => place.open_dir_as(flags, wait),
        }
    }

    pub(crate) fn open(&self, wait: Wait) -> Result<OpenFile> {
        match self {
            Self::Read(place, flags) => place.open_file(*flags, Mode::empty(), wait),
            // What writes may have to wait for the journal.
            Self::Write(..) if wait == Wait::Never => Err(Error::WOULD_BLOCK),
            Self::Write(place, flags, mode) if flags.contains(OFlags::CREATE) => place.open_file(*flags, *mode, wait),
            Self::Write(place, flags, _) => place.open_file(*flags, Mode::empty(), wait),
        }
    }
}

/// The permission bits that a guest may set: never set-user-id, set-group-id or sticky.
pub(super) fn permissions(mode: u16) -> Mode {
    Mode::from_bits_truncate(u32::from(mode) & 0o777)
}

impl Place<Write> {
    pub(crate) fn unlink(&self) -> Result<()> {
        let entry = self.entry(Error::IS_DIRECTORY)?;
        entry.check_slash()?;
        if entry.slash {
            return Err(Error::IS_DIRECTORY);
        }
        sys::unlinkat(&entry.dir, entry.name, AtFlags::empty())?;
        Ok(())
    }

    pub(crate) fn rmdir(&self) -> Result<()> {
        let entry = self.entry(Error::INVALID)?;
        // A symbolic link is not followed whether or not a slash comes after it, and so is no directory.
        sys::unlinkat(&entry.dir, entry.name, AtFlags::REMOVEDIR)?;
        Ok(())
    }

    pub(crate) fn mkdir(&self, mode: u16) -> Result<()> {
        let entry = self.entry(Error::EXIST)?;
        sys::mkdirat(&entry.dir, entry.name, permissions(mode))?;
        Ok(())
    }

    /// Both ends are of type `Place<Write>`: a rename takes from one directory and gives to another.
    pub(crate) fn rename(&self, new: &Self) -> Result<()> {
        let from = self.entry(Error::INVALID)?;
        let to = new.entry(Error::INVALID)?;
        if (from.slash || to.slash) && !from.is_directory_unchecked()? {
            return Err(Error::NOT_DIRECTORY);
        }
        sys::renameat(&from.dir, from.name, &to.dir, to.name)?;
        Ok(())
    }

    /// `rename` with flags for what becomes of the target.
    pub(crate) fn rename2(&self, new: &Self, how: RenameHow) -> Result<()> {
        let flags = match how {
            RenameHow::Replace => return self.rename(new),
            RenameHow::NoReplace => SystemFlags::NOREPLACE,
            RenameHow::Exchange => SystemFlags::EXCHANGE,
        };
        let from = self.entry(Error::INVALID)?;
        let to = new.entry(Error::INVALID)?;
        from.check_slash()?;
        match how {
            // Here both ends are there, and each is looked at by itself.
            RenameHow::Exchange => to.check_slash()?,
            _ if to.slash && !from.is_directory_unchecked()? => return Err(Error::NOT_DIRECTORY),
            _ => {}
        }
        match sys::renameat_with(&from.dir, from.name, &to.dir, to.name, flags) {
            // A directory cannot go into itself. Otherwise this is how a file system says that it knows no flags.
            Err(Errno::INVAL) if !from.is_directory_unchecked()? && !to.is_directory_unchecked().unwrap_or(false) => {
                Err(Error::UNSUPPORTED)
            }
            result => Ok(result?),
        }
    }

    pub(crate) fn mkfifo(&self, mode: u16) -> Result<()> {
        let entry = self.entry(Error::EXIST)?;
        entry.check_new()?;
        sys::mknodat(&entry.dir, entry.name, rustix::fs::FileType::Fifo, permissions(mode), 0)?;
        Ok(())
    }
}

/// Flags for `rename2`, parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RenameHow {
    Replace,
    NoReplace,
    Exchange,
}

impl RenameHow {
    pub(crate) fn parse(flags: RenameFlags) -> Result<Self> {
        let has = |flag| flags & flag == flag;
        match (has(RenameFlags::NO_REPLACE), has(RenameFlags::EXCHANGE)) {
            (false, false) => Ok(Self::Replace),
            (true, false) => Ok(Self::NoReplace),
            (false, true) => Ok(Self::Exchange),
            (true, true) => Err(Error::INVALID),
        }
    }
}
