//! A bundle: the directory with a container's `config.json`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use super::super::replacement::{Place, Replacement};

/// The file that describes the container.
const CONFIG: &str = "config.json";

/// A bundle and what it says.
pub(super) struct Bundle {
    pub(super) dir: PathBuf,
    pub(super) config: Value,
}

impl Bundle {
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let dir = fs::canonicalize(dir).context("it cannot be found")?;
        let text = fs::read_to_string(dir.join(CONFIG)).context("its config.json cannot be read")?;
        let config = serde_json::from_str(&text).context("its config.json is no JSON")?;
        Ok(Self { dir, config })
    }

    /// Writes what it says by now, all of it or nothing. The file keeps its owner and its mode: it may hold secrets.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let write = || {
            let place = Place::of(&self.dir.join(CONFIG))?;
            Replacement::new(place, self.config.to_string().as_bytes())?.like_before()?.arrive()
        };
        write().map(|_| ()).context("cannot change the config.json of the container")
    }

    /// A path in it, as the runtime takes it.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    /// The mounts of the container.
    pub(super) fn mounts(&self) -> Vec<Mount> {
        self.config["mounts"].as_array().into_iter().flatten().map(|mount| Mount::of(self, mount)).collect()
    }
}

/// What is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bind,
    Tmpfs,
    Other,
}

/// A mount of a container.
#[derive(Clone, Debug)]
pub(super) struct Mount {
    /// In one form: absolute, and without `.`, `..` and slashes that say nothing.
    pub(super) destination: String,
    pub(super) source: PathBuf,
    pub(super) kind: Kind,
    pub(super) is_read_only: bool,
}

impl Mount {
    fn of(bundle: &Bundle, mount: &Value) -> Self {
        let text = |name: &str| mount[name].as_str().unwrap_or_default();
        let options = || mount["options"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let is_bind = text("type") == "bind" || options().any(|option| option == "bind" || option == "rbind");
        let kind = match (is_bind, text("type")) {
            (true, _) => Kind::Bind,
            (false, "tmpfs") => Kind::Tmpfs,
            (false, _) => Kind::Other,
        };
        let of_rights = options().rfind(|option| ["ro", "rro", "rw"].contains(option));
        Self {
            destination: in_one_form("/", text("destination")),
            source: bundle.path(text("source")),
            kind,
            is_read_only: of_rights.is_some_and(|option| option != "rw"),
        }
    }
}

/// A path of a container that starts in some directory, in one form.
pub(super) fn in_one_form(start: &str, path: &str) -> String {
    let mut parts = Vec::new();
    let start = if path.starts_with('/') { "" } else { start };
    for part in start.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            // What is above the root is the root.
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether a path of a container is a directory or lies below it. Both are in one form.
pub(super) fn is_within(path: &str, dir: &str) -> bool {
    dir == "/" || path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_config_that_cannot_be_written_whole_was_cut_short() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join(CONFIG);
        fs::write(&path, r#"{"mounts":[]}"#).expect("space");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a file of our own");
        let mut bundle = Bundle::open(dir.path()).expect("a bundle");
        bundle.config["hostname"] = "x".into();
        bundle.write().expect("space");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
        assert_eq!(
            (fs::read_to_string(&path).expect("text").as_str(), mode(&path)),
            (r#"{"hostname":"x","mounts":[]}"#, 0o640)
        );
        // The name is one of a directory now, so nothing can take it; what is there stays, and nothing else is left.
        fs::remove_file(&path).expect("a file of our own");
        fs::create_dir(&path).expect("a directory of our own");
        assert!(bundle.write().is_err());
        assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), 1);
    }

    #[test]
    fn paths_have_one_form() {
        for (start, path, form) in [
            ("/", "data", "/data"),
            ("/app", "./x.wasm", "/app/x.wasm"),
            ("/app", "../x.wasm", "/x.wasm"),
            ("/app", "//data/./a/../", "/data"),
            ("/", "../..", "/"),
            ("", "", "/"),
        ] {
            assert_eq!(in_one_form(start, path), form);
        }
    }

    #[test]
    fn a_name_that_starts_like_another_is_not_within_it() {
        assert!(is_within("/data", "/data") && is_within("/data/a", "/data") && is_within("/data", "/"));
        assert!(!is_within("/database", "/data") && !is_within("/", "/data"));
    }
}
