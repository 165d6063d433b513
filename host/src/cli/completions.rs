//! `aiohost completions`: what a shell needs to complete the command line.

use clap::builder::PossibleValuesParser;
use clap::{Args, Command};
use clap_complete::Shell;

use super::streams;
use super::templates::TEMPLATES;

/// Print what a shell needs to complete commands and options
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  aiohost completions bash > ~/.local/share/bash-completion/completions/aiohost
  aiohost completions zsh > ~/.zfunc/_aiohost     where ~/.zfunc is in the fpath
  aiohost completions fish > ~/.config/fish/completions/aiohost.fish
  source <(aiohost completions bash)              for this shell only";

pub(super) fn completions(options: &Options, definition: &Command) -> anyhow::Result<()> {
    // `new` itself takes any word, since it has more to say about a wrong one than clap.
    let languages = PossibleValuesParser::new(TEMPLATES.iter().map(|template| template.language));
    let mut definition =
        definition.clone().mut_subcommand("new", |new| new.mut_arg("language", |arg| arg.value_parser(languages)));
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut definition, super::NAME, &mut script);
    streams::print(&String::from_utf8(script)?)
}
