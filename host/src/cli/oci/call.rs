//! What an engine tells its runtime: the command, the bundle, and where errors are to be written.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde_json::json;

use super::super::remedy::Remedied;

/// Options before the command that take a value, of runc and crun. All that an engine passes must be here, or its value would be
/// taken for the command.
const WITH_VALUE: [&str; 7] = ["--root", "--log", "--log-format", "--log-level", "--criu", "--rootless", "--cgroup-manager"];

/// Options of `create` and `run` that take a value.
const WITH_VALUE_BEHIND: [&str; 8] =
    ["--bundle", "-b", "--console-socket", "--pid-file", "--preserve-fds", "--pidfd-socket", "--config", "-f"];

/// A command line of an OCI runtime.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    command: OsString,
    /// The working directory, if nobody says otherwise.
    pub(super) bundle: PathBuf,
    log: Option<PathBuf>,
    log_is_json: bool,
}

impl Call {
    pub(super) fn of(words: &[OsString]) -> Self {
        let mut call = Self { bundle: PathBuf::from("."), ..Self::default() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if !word.as_bytes().starts_with(b"-") {
                call.command.clone_from(word);
                break;
            }
            let (name, value) = option(word, &WITH_VALUE, &mut words);
            match name.to_str() {
                Some("--log") => call.log = value.map(PathBuf::from),
                Some("--log-format") => call.log_is_json = value.is_some_and(|value| value == "json"),
                _ => {}
            }
        }
        while let Some(word) = words.next() {
            let (name, value) = option(word, &WITH_VALUE_BEHIND, &mut words);
            if let (Some("--bundle" | "-b"), Some(value)) = (name.to_str(), value) {
                call.bundle = value.into();
            }
        }
        call
    }

    /// Whether it makes a container of a bundle.
    pub(super) fn makes_a_container(&self) -> bool {
        self.command == "create" || self.command == "run"
    }

    /// Writes an error to where the engine has asked for it, in the form that runc gives it.
    pub(super) fn log(&self, error: &anyhow::Error) {
        let Some(path) = &self.log else { return };
        let help = error.downcast_ref::<Remedied>().map(|error| format!(" ({})", error.help));
        let message = format!("aiohost: {error:#}{}", help.unwrap_or_default());
        let line = if self.log_is_json {
            json!({ "level": "error", "msg": message }).to_string()
        } else {
            format!("level=error msg={message:?}")
        };
        // It is told on standard error, too.
        if let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path) {
            let _ = writeln!(file, "{line}");
        }
    }
}

/// The name of an option and its value, which may be the next word.
fn option<'a>(
    word: &'a OsStr,
    with_value: &[&str],
    words: &mut impl Iterator<Item = &'a OsString>,
) -> (&'a OsStr, Option<&'a OsStr>) {
    let bytes = word.as_bytes();
    if let Some(at) = bytes.iter().position(|byte| *byte == b'=') {
        return (OsStr::from_bytes(&bytes[..at]), Some(OsStr::from_bytes(&bytes[at + 1..])));
    }
    let value = if with_value.iter().any(|name| word == *name) { words.next().map(OsString::as_os_str) } else { None };
    (word, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(line: &str) -> Call {
        Call::of(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_bundle_is_found_in_what_engines_say() {
        // containerd, podman with runc, podman with crun, and by hand.
        let lines = [
            "--root /run/r --log /b/log.json --log-format json create --bundle /b --pid-file /b/pid id",
            "--log=/b/log.json --log-format=json --systemd-cgroup create --bundle=/b --pid-file /x id",
            "--cgroup-manager create --log-format json --log /b/log.json create --console-socket run --bundle /b id",
            "--log /b/log.json --log-format json run -b /b id",
        ];
        for line in lines {
            let call = call(line);
            assert!(call.makes_a_container(), "{line}");
            assert_eq!((call.bundle, call.log, call.log_is_json), ("/b".into(), Some("/b/log.json".into()), true), "{line}");
        }
        assert_eq!(call("create id").bundle, PathBuf::from("."));
    }

    #[test]
    fn other_commands_make_no_container() {
        for line in
            ["", "--version", "state create", "--root create delete id", "kill run KILL", "exec --bundle /b run", "spec"]
        {
            assert!(!call(line).makes_a_container(), "{line}");
        }
    }
}
