//! The annotations of a container. They may come from its image as well as from whoever runs it, so they can only limit what it
//! would have without them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::remedy::failure;

const PREFIX: &str = "dev.aiohost.";

/// Annotations that are limits have the names of their options.
pub(super) const LIMITS: [&str; 5] = ["timeout", "max-memory", "max-open-files", "max-in-flight", "max-entries"];

const OTHERS: [&str; 5] = ["dirs", "read-only", "allow", "stats", "plugin"];

/// What they say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Annotations {
    pub(super) limits: BTreeMap<&'static str, String>,
    /// The mounts that are granted, if not all of them are.
    pub(super) dirs: Option<Vec<String>>,
    pub(super) read_only: bool,
    pub(super) allow: Vec<String>,
    pub(super) stats: bool,
    /// Whether the process is a plugin, if its name does not decide.
    pub(super) plugin: Option<bool>,
}

impl Annotations {
    pub(super) fn of(config: &Value) -> anyhow::Result<Self> {
        let mut found = Self::default();
        for (name, value) in config["annotations"].as_object().into_iter().flatten() {
            let Some(own) = name.strip_prefix(PREFIX) else { continue };
            let value = value.as_str().unwrap_or_default();
            if let Some(limit) = LIMITS.into_iter().find(|limit| *limit == own) {
                found.limits.insert(limit, value.to_owned());
                continue;
            }
            match own {
                "dirs" => found.dirs = Some(list(value)),
                "read-only" => found.read_only = is_true(name, value)?,
                "allow" => found.allow = list(value),
                "stats" => found.stats = is_true(name, value)?,
                "plugin" => found.plugin = Some(is_true(name, value)?),
                _ => {
                    let known = LIMITS.iter().chain(&OTHERS).map(|known| format!("{PREFIX}{known}"));
                    let help = format!("there are {}", known.collect::<Vec<_>>().join(", "));
                    return Err(failure(format!("there is no annotation {name}"), help));
                }
            }
        }
        Ok(found)
    }
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn is_true(name: &str, value: &str) -> anyhow::Result<bool> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(failure(format!("the annotation {name} is {value:?}"), "it is true or false")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn those_of_others_are_passed_over() {
        let config = json!({ "annotations": { "io.kubernetes.cri.container-type": "container", "dev.aiohost.stats": "true",
            "dev.aiohost.dirs": "/a, /b", "dev.aiohost.timeout": "2s", "dev.aiohost.plugin": "false" } });
        let expected = Annotations {
            limits: BTreeMap::from([("timeout", "2s".to_owned())]),
            dirs: Some(vec!["/a".to_owned(), "/b".to_owned()]),
            stats: true,
            plugin: Some(false),
            ..Annotations::default()
        };
        assert_eq!(Annotations::of(&config).expect("known ones"), expected);
        assert_eq!(Annotations::of(&json!({})).expect("none"), Annotations::default());
        let none = json!({ "annotations": { "dev.aiohost.dirs": "" } });
        assert_eq!(Annotations::of(&none).expect("no directory").dirs, Some(Vec::new()));
    }

    #[test]
    fn unknown_ones_are_refused() {
        for (name, value) in [("dev.aiohost.time", "1s"), ("dev.aiohost.", ""), ("dev.aiohost.stats", "yes")] {
            let error = Annotations::of(&json!({ "annotations": { name: value } })).expect_err("an unknown one");
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
