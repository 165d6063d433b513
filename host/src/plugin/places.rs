//! Where compiled code, the key that it is sealed with, and images are kept, if nobody says otherwise.

use std::env;
use std::path::PathBuf;

/// What the variables of the environment say.
type Variables<'a> = &'a dyn Fn(&str) -> Option<PathBuf>;

/// The variable of this process. Without `HOME` the user's entry in the list of users counts.
pub(super) fn variable(name: &str) -> Option<PathBuf> {
    match env::var_os(name) {
        None if name == "HOME" => env::home_dir(),
        value => value.map(PathBuf::from),
    }
}

/// Every place for the code, the one that is used first: `$AIOHOST_CACHE/code`, `$XDG_CACHE_HOME/aiohost/code` and
/// `$HOME/.cache/aiohost/code`.
pub(super) fn cache_dirs(variables: Variables<'_>) -> Vec<PathBuf> {
    let places = [("AIOHOST_CACHE", "code"), ("XDG_CACHE_HOME", "aiohost/code"), ("HOME", ".cache/aiohost/code")];
    below(variables, &places)
}

/// Every place for images, beside the code: `$AIOHOST_CACHE/images` and so on.
pub(super) fn image_dirs(variables: Variables<'_>) -> Vec<PathBuf> {
    let places = [("AIOHOST_CACHE", "images"), ("XDG_CACHE_HOME", "aiohost/images"), ("HOME", ".cache/aiohost/images")];
    below(variables, &places)
}

/// Every place for the key, the one that is used first: `$AIOHOST_STATE/cache.key`, `$XDG_STATE_HOME/aiohost/cache.key` and
/// `$HOME/.local/state/aiohost/cache.key`.
pub(super) fn key_files(variables: Variables<'_>) -> Vec<PathBuf> {
    let places =
        [("AIOHOST_STATE", "cache.key"), ("XDG_STATE_HOME", "aiohost/cache.key"), ("HOME", ".local/state/aiohost/cache.key")];
    below(variables, &places)
}

fn below(variables: Variables<'_>, places: &[(&str, &str)]) -> Vec<PathBuf> {
    // As the XDG specification has it, a relative path is as good as none.
    let set = |name| variables(name).filter(|path| path.is_absolute());
    places.iter().filter_map(|(name, rest)| Some(set(name)?.join(rest))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(places: fn(Variables<'_>) -> Vec<PathBuf>, set: &[(&str, &str)]) -> Vec<String> {
        let places = places(&|name| Some(set.iter().find(|(key, _)| *key == name)?.1.into()));
        places.iter().map(|place| place.display().to_string()).collect()
    }

    #[test]
    fn the_places_are_where_the_variables_say() {
        let dirs = |set: &[(&str, &str)]| found(cache_dirs, set);
        assert_eq!(dirs(&[("AIOHOST_CACHE", "/a"), ("HOME", "/h")]), ["/a/code", "/h/.cache/aiohost/code"]);
        assert_eq!(dirs(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]), ["/x/aiohost/code", "/h/.cache/aiohost/code"]);
        assert_eq!(dirs(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")]), ["/h/.cache/aiohost/code"]);
        assert!(dirs(&[("HOME", "")]).is_empty());
        assert_eq!(
            found(image_dirs, &[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]),
            ["/x/aiohost/images", "/h/.cache/aiohost/images"]
        );
        let keys = |set: &[(&str, &str)]| found(key_files, set);
        assert_eq!(keys(&[("AIOHOST_STATE", "/s"), ("HOME", "/h")]), ["/s/cache.key", "/h/.local/state/aiohost/cache.key"]);
        assert_eq!(keys(&[("AIOHOST_CACHE", "/a"), ("XDG_STATE_HOME", "/x")]), ["/x/aiohost/cache.key"]);
    }
}
