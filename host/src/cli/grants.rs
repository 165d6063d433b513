//! `--dir` and `--ro-dir`: two options whose order among each other matters.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use aiohost::Rights;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint};

/// The directories that were granted, in the order of the command line.
#[derive(Clone, Debug, Default)]
pub(super) struct Grants(pub(super) Vec<Grant>);

/// A directory and the name it has for the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) host: PathBuf,
    pub(super) guest: String,
    pub(super) rights: Rights,
}

const OPTIONS: [(&str, Rights); 2] = [("dir", Rights::ReadWrite), ("ro-dir", Rights::Read)];

impl Args for Grants {
    fn augment_args(command: Command) -> Command {
        let option = |name| {
            Arg::new(name)
                .long(name)
                .value_name("HOST[::GUEST]")
                .action(ArgAction::Append)
                .value_parser(names)
                .value_hint(ValueHint::DirPath)
                .help_heading("Rights")
        };
        command
            .arg(option("dir").help("A directory, and its name for the plugin; it works in the first one"))
            .arg(option("ro-dir").help("The same, for reading only"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Grants {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut grants = Vec::new();
        for (name, rights) in OPTIONS {
            let values = matches.get_many::<(PathBuf, String)>(name).into_iter().flatten();
            let places = matches.indices_of(name).into_iter().flatten();
            grants.extend(
                places
                    .zip(values)
                    .map(|(place, (host, guest))| (place, Grant { host: host.clone(), guest: guest.clone(), rights })),
            );
        }
        grants.sort_by_key(|(place, _)| *place);
        Ok(Self(grants.into_iter().map(|(_, grant)| grant).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// `HOST::GUEST`, or `HOST` for the same name on both sides.
fn names(text: &str) -> Result<(PathBuf, String), String> {
    let (host, guest) = match text.split_once("::") {
        Some((host, guest)) => (host, guest.to_owned()),
        None => (text, own_name(text)),
    };
    if host.is_empty() || guest.is_empty() {
        return Err("it is HOST::GUEST, or HOST for the same name on both sides".to_owned());
    }
    Ok((PathBuf::from(host), guest))
}

/// What a directory is called for the guest if nobody says: as on the host. A guest cannot name a path with `..` in it, so such a
/// directory has its last name, as `data` for `../data`.
fn own_name(host: &str) -> String {
    let path = Path::new(host);
    if !path.components().any(|part| part == Component::ParentDir) {
        return host.to_owned();
    }
    // Of a path that ends in `..` only the system knows the last name. What is not there is refused later, whatever its name.
    let real = || std::fs::canonicalize(path).ok();
    let name = path.file_name().map(OsStr::to_owned).or_else(|| Some(real()?.file_name()?.to_owned()));
    let root = if path.is_absolute() { "/" } else { "" };
    name.map_or_else(|| "/".to_owned(), |name| format!("{root}{}", name.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(line: &str) -> Vec<Grant> {
        let command = Grants::augment_args(Command::new("test"));
        let matches = command.try_get_matches_from(line.split_whitespace()).expect("valid options");
        Grants::from_arg_matches(&matches).expect("valid options").0
    }

    fn grant(host: &str, guest: &str, rights: Rights) -> Grant {
        Grant { host: host.into(), guest: guest.to_owned(), rights }
    }

    #[test]
    fn grants_keep_the_order_of_the_command_line() {
        let found = grants("test --ro-dir a::/x --dir b --ro-dir=c");
        let expected = [grant("a", "/x", Rights::Read), grant("b", "b", Rights::ReadWrite), grant("c", "c", Rights::Read)];
        assert_eq!(found, expected);
        assert_eq!(grants("test"), []);
    }

    #[test]
    fn a_directory_has_its_own_name_if_it_can_be_named() {
        let guest = |text: &str| names(text).expect("a directory").1;
        for text in [".", "a/b", "/srv/music", "./a", "..a"] {
            assert_eq!(guest(text), text);
        }
        assert_eq!((guest("../data"), guest("a/../../data/")), ("data".to_owned(), "data".to_owned()));
        assert_eq!((guest("/srv/../data"), guest("/..")), ("/data".to_owned(), "/".to_owned()));
        let here = std::env::current_dir().expect("tests run somewhere");
        let above = here.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        assert_eq!(Some(guest("..")), above);
        // What somebody says is taken as it is, and refused later.
        assert_eq!(guest("a::../x"), "../x");
    }

    #[test]
    fn names_are_apart_from_each_other_by_two_colons() {
        assert_eq!(names("a:b::c::d"), Ok((PathBuf::from("a:b"), "c::d".to_owned())));
        assert!(names("::a").is_err() && names("a::").is_err() && names("").is_err());
    }
}
