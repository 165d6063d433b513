//! What a plugin may be called: what every file system takes, and what the tools of its language do.

use super::remedy::Remedied;

/// More does not fit the line of an error, nor into some file systems with what the tools add to it.
const BYTES_MAX: usize = 64;

/// Names that the tools of a language keep for something else.
struct Taken {
    languages: &'static [&'static str],
    names: &'static [&'static str],
    why: &'static str,
}

const TAKEN: [Taken; 3] = [
    Taken {
        languages: &["rust"],
        names: &["build", "deps", "examples", "incremental"],
        why: "cargo has a folder of its own of that name where it puts the program",
    },
    Taken {
        languages: &["rust", "rust-async"],
        names: &["aiohost-guest"],
        why: "the crate for plugins, which is in the project, has that name",
    },
    Taken {
        languages: &["go"],
        names: &["vendor"],
        why: "Go takes a path with that name in it for one of somebody else's packages",
    },
];

/// Fails if a plugin in this language cannot be called that.
pub(super) fn check(name: &str, language: &str) -> anyhow::Result<()> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let is_good = name.starts_with(|first: char| first.is_ascii_lowercase()) && name.split('-').all(is_word);
    if !is_good || name.len() > BYTES_MAX {
        let rule = "a name is small letters and digits, with a hyphen between words, and starts with a letter";
        let better = improved(name);
        let help = if better.is_empty() { format!("{rule}, as in my-plugin") } else { format!("{rule}: {better}") };
        return Err(Remedied { what: format!("a plugin cannot be called `{name}`"), help }.into());
    }
    let Some(taken) = TAKEN.iter().find(|taken| taken.languages.contains(&language) && taken.names.contains(&name)) else {
        return Ok(());
    };
    let what = format!("a plugin in {language} cannot be called `{name}`");
    let help = format!("choose another name, as in my-{}", name.trim_start_matches("aiohost-"));
    Err(anyhow::Error::msg(taken.why).context(Remedied { what, help }))
}

/// What of a name can be used, in a form that can be.
fn improved(name: &str) -> String {
    let name = name.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default().to_ascii_lowercase();
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join("-");
    let start = joined.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    start[..start.len().min(BYTES_MAX)].trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "my-plugin", "x86", "list-2-files"] {
            assert!(check(good, "c").is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "A", "a_b", "2a", "a.b", "../a", "a/b", "é", &"a".repeat(65)] {
            assert!(check(bad, "c").is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_name_becomes_a_good_one() {
        assert_eq!(improved("My_Plugin 2"), "my-plugin-2");
        assert_eq!(improved("plugins/Songs/"), "songs");
        assert_eq!(improved("2-files"), "files");
        assert_eq!(improved("é"), "");
    }

    /// Each was tried with the tools themselves.
    #[test]
    fn a_name_is_refused_where_the_tools_of_the_language_would_refuse_it() {
        let refused_by = [
            ("build", &["rust"][..]),
            ("deps", &["rust"]),
            ("examples", &["rust"]),
            ("incremental", &["rust"]),
            ("aiohost-guest", &["rust", "rust-async"]),
            ("vendor", &["go"]),
            ("test", &[]),
            ("core", &[]),
            ("std", &[]),
            ("alloc", &[]),
            ("proc-macro", &[]),
            ("fn", &[]),
            ("self", &[]),
            ("async", &[]),
            ("crate", &[]),
            ("wit-bindgen", &[]),
            ("wasip3", &[]),
            ("futures", &[]),
            ("plugin", &[]),
            ("image", &[]),
            ("main", &[]),
            ("internal", &[]),
            ("componentize-qjs", &[]),
        ];
        for (name, languages) in refused_by {
            for template in &super::super::templates::TEMPLATES {
                let is_refused = check(name, template.language).is_err();
                assert_eq!(is_refused, languages.contains(&template.language), "{name} in {}", template.language);
            }
        }
    }
}
