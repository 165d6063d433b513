//! The plugin's file, as the container would see it: in a mount, or in its image, and never outside of these.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;

use super::super::remedy::failure;
use super::bundle::{Bundle, Kind, is_within};

/// Bytes of a plugin, as the library has it.
const BYTES_MAX: u64 = 256 << 20;

/// Reads it.
pub(super) fn read(bundle: &Bundle, path: &str) -> anyhow::Result<Vec<u8>> {
    let file = find(bundle, path).map_err(|error| match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => {
            let help = "the first word of the container's command is the path of a plugin in the image or in a mount";
            failure(format!("there is no {path} in the container"), help)
        }
        error => anyhow::Error::new(error).context(format!("cannot open {path} of the container")),
    })?;
    let status = fstat(&file)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(failure(format!("{path} of the container is no regular file"), "a plugin is one"));
    }
    // Only now: to open a device or a FIFO may do something.
    let file = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).with_context(|| format!("cannot open {path}"))?;
    let mut content = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut content).with_context(|| format!("cannot read {path}"))?;
    if content.len() as u64 > BYTES_MAX {
        return Err(failure(format!("{path} has more than 256 MiB"), "that is the most that a plugin may have"));
    }
    Ok(content)
}

fn find(bundle: &Bundle, path: &str) -> rustix::io::Result<OwnedFd> {
    let mounts = bundle.mounts();
    // Of two at one place the later one.
    let innermost =
        mounts.iter().filter(|mount| is_within(path, &mount.destination)).max_by_key(|mount| mount.destination.len());
    let Some(mount) = innermost else {
        let root = bundle.config["root"]["path"].as_str().unwrap_or_default();
        return within(&bundle.path(root), path);
    };
    if mount.kind != Kind::Bind {
        return Err(Errno::NOENT);
    }
    let rest = path.strip_prefix(&mount.destination).unwrap_or_default();
    if rest.is_empty() {
        return open(&mount.source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    }
    within(&mount.source, rest)
}

/// A file below a directory, which is the root for all links on the way.
fn within(dir: &Path, path: &str) -> rustix::io::Result<OwnedFd> {
    let dir = openat2(
        CWD,
        fs::canonicalize(dir).map_err(|_| Errno::NOENT)?,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::empty(),
    )?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(dir, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    fn bundle(mounts: serde_json::Value) -> (TempDir, Bundle) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = |path: &str| dir.path().join(path);
        for folder in ["rootfs/app", "volume", "outside"] {
            fs::create_dir_all(at(folder)).expect("a folder");
        }
        for file in ["rootfs/app/p.wasm", "volume/p.wasm", "outside/p.wasm", "p.wasm"] {
            fs::write(at(file), file).expect("a file");
        }
        let bundle = Bundle { dir: dir.path().to_owned(), config: json!({ "root": { "path": "rootfs" }, "mounts": mounts }) };
        (dir, bundle)
    }

    fn text(bundle: &Bundle, path: &str) -> Result<String, String> {
        let content = read(bundle, path).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(content).expect("it was text"))
    }

    #[test]
    fn it_is_found_in_the_image_and_in_mounts() {
        let mounts = json!([
            { "destination": "/data", "type": "bind", "source": "volume" },
            { "destination": "/one.wasm", "source": "p.wasm", "options": ["rbind", "ro"] },
            { "destination": "/tmp", "type": "tmpfs", "source": "tmpfs" },
        ]);
        let (_dir, bundle) = bundle(mounts);
        assert_eq!(text(&bundle, "/app/p.wasm"), Ok("rootfs/app/p.wasm".to_owned()));
        assert_eq!(text(&bundle, "/data/p.wasm"), Ok("volume/p.wasm".to_owned()));
        assert_eq!(text(&bundle, "/one.wasm"), Ok("p.wasm".to_owned()));
        for missing in ["/p.wasm", "/tmp/p.wasm", "/app/p.wasm/x", "/data/none"] {
            assert_eq!(text(&bundle, missing), Err(format!("there is no {missing} in the container")));
        }
        assert_eq!(text(&bundle, "/app"), Err("/app of the container is no regular file".to_owned()));
    }

    #[test]
    fn links_lead_nowhere_outside() {
        let (dir, bundle) = bundle(json!([{ "destination": "/data", "type": "bind", "source": "volume" }]));
        let outside = dir.path().join("outside/p.wasm");
        for folder in ["rootfs", "volume"] {
            symlink(&outside, dir.path().join(folder).join("absolute.wasm")).expect("a link");
            symlink("../outside/p.wasm", dir.path().join(folder).join("relative.wasm")).expect("a link");
            symlink("/proc/self/exe", dir.path().join(folder).join("magic.wasm")).expect("a link");
        }
        symlink("/app/p.wasm", dir.path().join("rootfs/inside.wasm")).expect("a link");
        for folder in ["", "/data"] {
            for name in ["absolute.wasm", "relative.wasm", "magic.wasm"] {
                assert!(text(&bundle, &format!("{folder}/{name}")).is_err(), "{folder}/{name}");
            }
        }
        assert_eq!(text(&bundle, "/inside.wasm"), Ok("rootfs/app/p.wasm".to_owned()));
    }
}
