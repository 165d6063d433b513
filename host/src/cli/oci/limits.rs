//! The limits of a plugin in a container: those of the machine, or of `aiohost run`, unless its annotations have lower ones.

use aiohost::Limits;
use serde_json::Value;

use super::super::remedy::failure;
use super::super::values;
use super::annotations::{Annotations, LIMITS};
use super::settings::Settings;

/// The limits as options of `aiohost run`.
pub(super) fn options(config: &Value, annotations: &Annotations, settings: &Settings) -> anyhow::Result<Vec<String>> {
    if let Some(unknown) = settings.limits.keys().find(|name| !LIMITS.contains(&name.as_str())) {
        return Err(failure(
            format!("there is no limit `{unknown}` for the settings"),
            format!("there are {}", LIMITS.join(", ")),
        ));
    }
    let mut options = Vec::new();
    for name in LIMITS {
        let set = settings.limits.get(name).map(|text| Limit::parse(name, text)).transpose()?;
        let ceiling = set.or_else(|| default(name, config));
        let asked = annotations.limits.get(name).map(|text| Limit::parse(name, text)).transpose()?;
        if let (Some(asked), Some(ceiling)) = (&asked, &ceiling)
            && asked.amount > ceiling.amount
        {
            let what = format!("the annotation dev.aiohost.{name} is {}, and {} is the limit here", asked.text, ceiling.text);
            let help = match name {
                "max-memory" => "annotations only lower limits: give the container a higher limit for its memory",
                _ => "annotations only lower limits: `limits` in /etc/aiohost/oci.json raises those of this machine",
            };
            return Err(failure(what, help));
        }
        options.extend(asked.or(ceiling).map(|limit| format!("--{name}={}", limit.text)));
    }
    Ok(options)
}

/// A limit as it is written, and as a number to be compared.
struct Limit {
    text: String,
    amount: u128,
}

impl Limit {
    fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let amount = match name {
            "timeout" => values::duration(text).map(|time| time.as_nanos()),
            "max-memory" => values::size(text).map(|bytes| bytes as u128),
            _ => values::positive(text).map(|number| number as u128),
        };
        let amount = amount.map_err(|why| failure(format!("the limit {name} is {text:?}"), why))?;
        Ok(Self { text: text.to_owned(), amount })
    }
}

/// What holds if nobody sets it. What a container has of memory its cgroup holds.
fn default(name: &str, config: &Value) -> Option<Limit> {
    let defaults = Limits::default();
    let amount = match name {
        "max-memory" => {
            let of_the_container = config["linux"]["resources"]["memory"]["limit"].as_i64();
            // Engines write -1 for none.
            let of_the_container = of_the_container.and_then(|bytes| usize::try_from(bytes).ok()).filter(|bytes| *bytes > 0);
            of_the_container.unwrap_or(defaults.memory_bytes_max)
        }
        "max-open-files" => defaults.requests.open_files_max,
        "max-in-flight" => defaults.requests.in_flight_max,
        "max-entries" => defaults.requests.entries_max,
        _ => return None,
    };
    Some(Limit { text: amount.to_string(), amount: amount as u128 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options_of(config: Value, set: &[(&str, &str)]) -> Result<String, String> {
        let limits = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let settings = Settings { limits, ..Settings::default() };
        let annotations = Annotations::of(&config).expect("known annotations");
        options(&config, &annotations, &settings).map(|options| options.join(" ")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_memory_of_the_container_is_that_of_the_plugin() {
        let rest = "--max-open-files=1024 --max-in-flight=4096 --max-entries=1000000";
        assert_eq!(options_of(json!({}), &[]), Ok(format!("--max-memory=1073741824 {rest}")));
        let limited = json!({ "linux": { "resources": { "memory": { "limit": 67108864 } } } });
        assert_eq!(options_of(limited, &[]), Ok(format!("--max-memory=67108864 {rest}")));
        let unlimited = json!({ "linux": { "resources": { "memory": { "limit": -1 } } } });
        assert_eq!(options_of(unlimited, &[]), Ok(format!("--max-memory=1073741824 {rest}")));
    }

    #[test]
    fn annotations_lower_limits_and_do_not_raise_them() {
        let of = |name: &str, value: &str| json!({ "annotations": { format!("dev.aiohost.{name}"): value } });
        let lower = options_of(of("max-open-files", "5"), &[]).expect("a lower one");
        assert!(lower.contains("--max-open-files=5 "), "{lower}");
        assert!(options_of(of("timeout", "1h"), &[]).expect("there is none").starts_with("--timeout=1h "));
        for (name, value) in [("max-open-files", "1025"), ("max-memory", "2GiB"), ("max-in-flight", "5000")] {
            let error = options_of(of(name, value), &[]).expect_err(name);
            assert!(error.contains(&format!("dev.aiohost.{name} is {value}, and")), "{error}");
        }
        assert!(options_of(of("timeout", "2s"), &[("timeout", "1s")]).is_err());
        assert!(options_of(of("max-open-files", "1025"), &[("max-open-files", "2000")]).is_ok());
        assert!(options_of(of("max-entries", "many"), &[]).is_err());
        assert!(options_of(json!({}), &[("max-files", "1")]).is_err());
    }
}
