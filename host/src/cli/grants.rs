//! `--dir` and `--ro-dir`: two options whose order among each other matters.

use std::path::PathBuf;

use aiohost::Rights;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

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
    let (host, guest) = text.split_once("::").unwrap_or((text, text));
    if host.is_empty() || guest.is_empty() {
        return Err("it is HOST::GUEST, or HOST for the same name on both sides".to_owned());
    }
    Ok((PathBuf::from(host), guest.to_owned()))
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
    fn names_are_apart_from_each_other_by_two_colons() {
        assert_eq!(names("a:b::c::d"), Ok((PathBuf::from("a:b"), "c::d".to_owned())));
        assert!(names("::a").is_err() && names("a::").is_err() && names("").is_err());
    }
}
