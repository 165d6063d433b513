//! The settings of a machine: which runtime is wrapped, and what containers may ask for at most.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use anyhow::Context as _;
use serde_json::Value;

use super::super::remedy::failure;

/// Where they are, if nobody says otherwise.
const FILE: &str = "/etc/aiohost/oci.json";

/// Runtimes that are looked for.
const RUNTIMES: [&str; 2] = ["runc", "crun"];

/// Where programs are, if there is no PATH: engines may start a runtime with next to no environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const NAMES: &str = "runtime, native, allow, limits, cache, max-compile-time, max-compile-memory";

/// What becomes of containers that run no plugin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Native {
    #[default]
    Run,
    /// Only those that hold the namespaces of a pod are made. An image must not be able to say that it is one: Kubernetes' engines pass
    /// none of its annotations on.
    Sandboxes,
    Refuse,
}

impl Native {
    fn parse(text: &str) -> anyhow::Result<Self> {
        match text {
            "run" => Ok(Self::Run),
            "sandboxes" => Ok(Self::Sandboxes),
            "refuse" => Ok(Self::Refuse),
            other => anyhow::bail!("`native` is \"run\", \"sandboxes\" or \"refuse\", and not {other:?}"),
        }
    }
}

/// The settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// The name or the path of the runtime that is wrapped.
    pub(super) runtime: Option<PathBuf>,
    /// What becomes of containers that run no plugin.
    pub(super) native: Native,
    /// What annotations may allow.
    pub(super) allow: Vec<String>,
    /// Limits by the names of their options.
    pub(super) limits: BTreeMap<String, String>,
    /// Where compiled code is kept.
    pub(super) cache: Option<PathBuf>,
    /// Options of `aiohost compile` with their values.
    pub(super) compile: Vec<String>,
}

impl Settings {
    pub(super) fn load() -> anyhow::Result<Self> {
        let named = env::var_os("AIOHOST_OCI_SETTINGS").map(PathBuf::from);
        let path = named.clone().unwrap_or_else(|| FILE.into());
        let mut settings = match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).with_context(|| format!("the settings in {} are wrong", path.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => Self::default(),
            Err(error) => return Err(anyhow::Error::new(error).context(format!("cannot read {}", path.display()))),
        };
        if let Some(runtime) = env::var_os("AIOHOST_OCI_RUNTIME") {
            settings.runtime = Some(runtime.into());
        }
        Ok(settings)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let value: Value = serde_json::from_str(text)?;
        let Value::Object(members) = value else { anyhow::bail!("they are a JSON object") };
        let mut settings = Self::default();
        for (name, value) in members {
            let string = || value.as_str().map(str::to_owned).with_context(|| format!("`{name}` is a string"));
            match name.as_str() {
                "runtime" => settings.runtime = Some(string()?.into()),
                "native" => settings.native = Native::parse(&string()?)?,
                "cache" => settings.cache = Some(string()?.into()),
                "allow" => settings.allow = strings(&value).context("`allow` is a list of strings")?,
                "limits" => settings.limits = limits(&value)?,
                "max-compile-time" | "max-compile-memory" => settings.compile.push(format!("--{name}={}", string()?)),
                _ => anyhow::bail!("there is no setting `{name}`; they are {NAMES}"),
            }
        }
        Ok(settings)
    }

    /// The runtime that is wrapped.
    pub(super) fn runtime(&self) -> anyhow::Result<PathBuf> {
        let help = "install runc or crun, or name one: AIOHOST_OCI_RUNTIME, or `runtime` in /etc/aiohost/oci.json";
        let found = match &self.runtime {
            Some(runtime) if runtime.components().count() > 1 => runtime.is_file().then(|| runtime.clone()),
            Some(runtime) => in_path(runtime),
            None => RUNTIMES.iter().find_map(|name| in_path(Path::new(name))),
        };
        let wanted = self.runtime.as_ref().map_or_else(|| "runc or crun".into(), |runtime| runtime.to_string_lossy());
        let runtime = found.ok_or_else(|| failure(format!("there is no {wanted} to run containers with"), help))?;
        let own = env::current_exe().and_then(fs::canonicalize).ok();
        if own.is_some() && fs::canonicalize(&runtime).ok() == own {
            return Err(failure(format!("{} is aiohost itself, and no runtime to wrap", runtime.display()), help));
        }
        Ok(runtime)
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|value| value.as_str().map(str::to_owned)).collect()
}

fn limits(value: &Value) -> anyhow::Result<BTreeMap<String, String>> {
    let members = value.as_object().context("`limits` is an object")?;
    let limit = |(name, value): (&String, &Value)| {
        let text = value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string()));
        Ok((name.clone(), text.with_context(|| format!("the limit `{name}` is a string or a number"))?))
    };
    members.iter().map(limit).collect()
}

fn in_path(name: &Path) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_else(|| PATH.into());
    env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_are_taken() {
        let text = r#"{"runtime": "/r", "native": "refuse", "allow": ["busy"], "limits": {"max-entries": 5, "max-memory": "1GiB"},
            "cache": "/c", "max-compile-time": "1m"}"#;
        let limits = [("max-entries", "5"), ("max-memory", "1GiB")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let expected = Settings {
            runtime: Some("/r".into()),
            native: Native::Refuse,
            allow: vec!["busy".to_owned()],
            limits: BTreeMap::from(limits),
            cache: Some("/c".into()),
            compile: vec!["--max-compile-time=1m".to_owned()],
        };
        assert_eq!(Settings::parse(text).expect("valid settings"), expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("[]", "object"),
            ("{", "EOF"),
            (r#"{"runtimes": "x"}"#, "there is no setting `runtimes`"),
            (r#"{"native": "no"}"#, "\"sandboxes\" or \"refuse\""),
            (r#"{"allow": "busy"}"#, "list of strings"),
            (r#"{"limits": {"timeout": true}}"#, "`timeout`"),
            (r#"{"cache": 1}"#, "`cache` is a string"),
        ];
        for (text, wanted) in cases {
            let error = Settings::parse(text).expect_err(text);
            assert!(format!("{error:#}").contains(wanted), "{error:#}");
        }
    }

    #[test]
    fn this_program_does_not_wrap_itself() {
        let settings = Settings { runtime: env::current_exe().ok(), ..Settings::default() };
        let error = settings.runtime().expect_err("it would go on for ever");
        assert!(error.to_string().contains("is aiohost itself"), "{error}");
        let missing = Settings { runtime: Some("/nowhere/runc".into()), ..Settings::default() };
        assert!(missing.runtime().expect_err("it is not there").to_string().contains("/nowhere/runc"));
    }
}
