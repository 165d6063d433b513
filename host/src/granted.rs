//! Directories that are to be granted: their names in one form, and whether each fits beside the others.

use crate::problem::{Problem, ProblemKind, Result};
use crate::sandbox::{Location, MountTable, Rights};

/// The name of a granted directory, in the one form that it has however it was written: `/a/b`, `a/b`, `/` or `.`.
#[derive(Clone, Debug)]
pub(crate) struct GrantName(String);

impl GrantName {
    pub(crate) fn parse(name: &str) -> Result<Self> {
        let parts: Vec<&str> = parts(name).collect();
        let refuse = |why: &str| {
            Problem::new(ProblemKind::Directory, format!("{name:?} cannot be the name of a directory for the guest"))
                .because_text(why)
                .help_for(PLAIN_NAME, format!("{PLAIN_NAME}: HOST::GUEST"))
        };
        if parts.contains(&"..") {
            return Err(refuse("`..` is in it, which no path of a guest can lead through"));
        }
        if name.contains('\0') {
            return Err(refuse("there is a NUL in it"));
        }
        let root = if name.starts_with('/') { "/" } else { "" };
        let plain = format!("{root}{}", parts.join("/"));
        Ok(Self(if plain.is_empty() { ".".to_owned() } else { plain }))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a path of a guest could mean either. An absolute path starts with the parts of a name, which a relative one
    /// has as well.
    fn is_one_with(&self, other: &Self) -> bool {
        parts(&self.0).eq(parts(&other.0))
    }
}

fn parts(name: &str) -> impl Iterator<Item = &str> {
    name.split('/').filter(|part| !matches!(*part, "" | "."))
}

/// A directory that is to be granted.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub(crate) name: GrantName,
    pub(crate) rights: Rights,
    pub(crate) location: Location,
    /// What it is called in errors: its path on the host, if that is known.
    pub(crate) shown: String,
}

impl Granted {
    /// Fails if a directory that was granted before leaves no sense to this one.
    pub(crate) fn check_beside(&self, others: &[Self]) -> Result<()> {
        if let Some(other) = others.iter().find(|other| other.name.is_one_with(&self.name)) {
            return Err(self.same_name(other));
        }
        if others.iter().all(|other| other.rights == self.rights) {
            return Ok(());
        }
        let mounts = MountTable::now();
        for other in others {
            match (self.rights, other.rights) {
                (Rights::Read, Rights::ReadWrite) => self.check_protected_from(other, &mounts)?,
                (Rights::ReadWrite, Rights::Read) => other.check_protected_from(self, &mounts)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn same_name(&self, other: &Self) -> Problem {
        let (one, two) = (self.name.as_str(), other.name.as_str());
        let problem = Problem::new(ProblemKind::Directory, format!("two directories are granted as `{one}`"))
            .help_for(OTHER_NAME, format!("{OTHER_NAME}, as HOST::GUEST"));
        if one == two {
            return problem;
        }
        problem.because_text(format!("`{two}` and `{one}` are one name: `/` at its start makes no difference"))
    }

    /// A writable directory inside of one for reading only is fine; the other way round the right to write is what counts.
    fn check_protected_from(&self, writable: &Self, mounts: &MountTable) -> Result<()> {
        if !mounts.reaches(&writable.location, &self.location) {
            return Ok(());
        }
        let what = format!("{} cannot be granted for reading only beside {}", self.shown, writable.shown);
        Err(Problem::new(ProblemKind::Directory, what)
            .because_text(format!(
                "the guest reaches it through {} as well, and may change it there, so it would protect nothing",
                writable.shown
            ))
            .help_with("grant for writing only what may be changed, or leave out the directory for reading only"))
    }
}

const PLAIN_NAME: &str = "choose a name of plain parts, as `/data` or `data`";

const OTHER_NAME: &str = "give one of them another name for the guest";

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> String {
        GrantName::parse(text).expect("a good name").0
    }

    #[test]
    fn a_name_has_one_form() {
        for text in ["/x", "//x", "/./x", "/x/", "/x/.", "/.//x//"] {
            assert_eq!(name(text), "/x", "{text}");
        }
        for text in ["x", "./x", "x/", ".//x/./"] {
            assert_eq!(name(text), "x", "{text}");
        }
        assert_eq!(
            (name("."), name("./"), name(""), name("/"), name("//.")),
            (".".into(), ".".into(), ".".into(), "/".into(), "/".into())
        );
        assert_eq!(name("a//b/./c"), "a/b/c");
        assert_eq!(name("..a/b.."), "..a/b..");
    }

    #[test]
    fn a_name_that_reaches_nothing_is_refused() {
        for text in ["..", "/..", "/x/../x", "x/..", "../x", "a\0b"] {
            assert!(GrantName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_one_if_an_absolute_path_could_mean_either() {
        let one = |a, b| GrantName::parse(a).expect("a good name").is_one_with(&GrantName::parse(b).expect("a good name"));
        assert!(one("x", "/x") && one(".", "/") && one("/a/b", "a//b/"));
        assert!(!one("/x", "/x/y") && !one("x", "y") && !one(".", "x"));
    }

    /// What becomes of these grants, made one after the other: the message of the first that is refused.
    fn grants(dir: &std::path::Path, list: &[(&str, &str, Rights)]) -> Option<String> {
        let granted = list
            .iter()
            .try_fold(crate::AioCtx::builder(), |builder, (host, guest, rights)| builder.dir(dir.join(host), guest, *rights));
        granted.err().map(|problem| format!("{:#}", anyhow::Error::from(problem)))
    }

    #[test]
    fn an_embedders_grants_fit_beside_each_other_too() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir_all(dir.path().join("a/b/c")).expect("new directories");
        std::os::unix::fs::symlink("a/b", dir.path().join("link")).expect("a new link");
        let (read, write) = (Rights::Read, Rights::ReadWrite);
        let refused = |list: &[(&str, &str, Rights)]| grants(dir.path(), list).expect("one is refused");
        for (one, two) in [("/x", "x"), ("x", "./x/"), (".", "/")] {
            assert!(refused(&[("a", one, read), ("a/b", two, write)]).starts_with("two directories are granted as `"));
        }
        assert!(refused(&[("a", "../x", write)]).contains("`..` is in it"));
        for list in [[("a", "/w", write), ("a/b", "/r", read)], [("link/c", "/r", read), ("a", "/w", write)]] {
            assert!(refused(&list).contains("for reading only"), "{list:?}");
        }
        assert_eq!(grants(dir.path(), &[("a", "/r", read), ("link", "/w", write), ("a/b/c", "/w2", write)]), None);
    }

    #[test]
    fn a_directory_that_an_embedder_opened_is_looked_at_too() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join("a")).expect("a new directory");
        let open = |name: &str| {
            cap_std::fs::Dir::open_ambient_dir(dir.path().join(name), cap_std::ambient_authority()).expect("it is there")
        };
        let builder = || crate::AioCtx::builder().open_dir(open("."), "/w", Rights::ReadWrite).expect("the first one fits");
        let refused = builder().open_dir(open("a"), "/r", Rights::Read).expect_err("it would protect nothing");
        assert!(refused.to_string().starts_with("the directory for \"/r\" cannot be granted for reading only"), "{refused}");
        assert!(builder().open_dir(open("a"), "/a", Rights::ReadWrite).is_ok(), "it may be written anyway");
    }
}
