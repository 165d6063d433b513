//! What of the host this program needs in a container in order to run there: its own file, and unless it is linked statically, its
//! loader and its libraries.

use std::ffi::{CStr, c_int, c_void};
use std::path::{Path, PathBuf};
use std::{env, ptr, slice};

use anyhow::Context as _;

use super::super::remedy::failure;

/// Where they are in the container.
pub(super) const FOLDER: &str = "/.aiohost";

/// The program in the container.
pub(super) const PROGRAM: &str = "/.aiohost/aiohost";

/// What of the image's or of a mount's could make the loader load something else.
const LOADERS_OWN: &str = "/etc/ld.so.preload";

/// The files, each with its place in the container.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) files: Vec<(PathBuf, String)>,
    /// Places in the container that nobody else may fill.
    pub(super) reserved: Vec<String>,
    /// What tells the loader where the libraries are.
    pub(super) environment: Vec<String>,
}

impl Parts {
    /// Those of the program that runs here.
    pub(super) fn of_this_program() -> anyhow::Result<Self> {
        let program = env::current_exe().context("cannot find the program itself: /proc is needed")?;
        if !program.is_file() {
            let what = format!("{} is not there any more", program.display());
            return Err(failure(what, "a new version may be on its way: try again once it is installed"));
        }
        let mut objects = Objects::default();
        // SAFETY: it calls the function with each object in turn, and with the pointer that it is given.
        unsafe { libc::dl_iterate_phdr(Some(enter), ptr::from_mut(&mut objects).cast()) };
        Ok(Self::of(program, &objects))
    }

    fn of(program: PathBuf, objects: &Objects) -> Self {
        let mut parts = Self { files: vec![(program, PROGRAM.to_owned())], ..Self::default() };
        parts.reserved.push(FOLDER.to_owned());
        let Some(loader) = &objects.loader else { return parts };
        for library in objects.libraries.iter().filter(|library| *library != loader) {
            if let Some(name) = Path::new(library).file_name() {
                parts.files.push((library.into(), format!("{FOLDER}/{}", name.to_string_lossy())));
            }
        }
        // The kernel starts it by this very name.
        parts.files.push((loader.into(), loader.clone()));
        let folder = Path::new(loader).parent().unwrap_or_else(|| Path::new("/"));
        parts.reserved.extend([folder.to_string_lossy().into_owned(), LOADERS_OWN.to_owned()]);
        parts.environment.push(format!("LD_LIBRARY_PATH={FOLDER}"));
        parts
    }
}

/// What is loaded in this process.
#[derive(Debug, Default)]
struct Objects {
    loader: Option<String>,
    /// By the names by which they were loaded, the loader among them.
    libraries: Vec<String>,
}

/// Enters one object. The first one is the program, which names its loader.
unsafe extern "C" fn enter(info: *mut libc::dl_phdr_info, _: usize, objects: *mut c_void) -> c_int {
    // SAFETY: both pointers are those that `dl_iterate_phdr` was given or has made, and nobody else has them meanwhile.
    let (info, objects) = unsafe { (&*info, &mut *objects.cast::<Objects>()) };
    // SAFETY: the loader keeps the name of each object as a string that ends.
    let name = unsafe { text(info.dlpi_name) };
    if name.starts_with('/') {
        objects.libraries.push(name);
    }
    // SAFETY: these are the program headers of an object that is loaded, as many as it says.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    if let Some(header) = headers.iter().find(|header| header.p_type == libc::PT_INTERP)
        && objects.loader.is_none()
        && let Ok(offset) = usize::try_from(header.p_vaddr)
        && let Ok(base) = usize::try_from(info.dlpi_addr)
    {
        // SAFETY: it is where the loaded program has the name of its loader, which ends with a zero.
        objects.loader = Some(unsafe { text(ptr::with_exposed_provenance(base.wrapping_add(offset))) });
    }
    0
}

/// # Safety
///
/// It is null, or a string that ends.
unsafe fn text(text: *const libc::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as above.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_program_needs_nothing_else() {
        let parts = Parts::of("/bin/aiohost".into(), &Objects::default());
        assert_eq!(parts.files, [("/bin/aiohost".into(), PROGRAM.to_owned())]);
        assert!(parts.environment.is_empty());
    }

    #[test]
    fn the_loader_keeps_its_name_and_libraries_are_beside_the_program() {
        let objects = Objects {
            loader: Some("/lib64/ld.so".to_owned()),
            libraries: ["/lib/x/libc.so.6", "/lib64/ld.so"].map(str::to_owned).into(),
        };
        let parts = Parts::of("/bin/aiohost".into(), &objects);
        let places: Vec<&str> = parts.files.iter().map(|(_, place)| place.as_str()).collect();
        assert_eq!(places, [PROGRAM, "/.aiohost/libc.so.6", "/lib64/ld.so"]);
        assert_eq!(parts.reserved, [FOLDER, "/lib64", LOADERS_OWN]);
    }

    #[test]
    fn what_is_loaded_here_is_there() {
        let parts = Parts::of_this_program().expect("a program that runs");
        for (file, _) in &parts.files {
            assert!(file.is_file(), "{}", file.display());
        }
        let is_static = parts.environment.is_empty();
        assert!(is_static || parts.files.len() > 2, "{parts:?}");
    }
}
