//! `aiohost man`: the manual pages.

use std::path::PathBuf;

use clap::{Arg, Args, Command, ValueHint};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::remedy::Remedied;
use super::{NAME, output_files, streams};

/// Print or write the manual pages
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The command whose page is printed; without one, that of aiohost itself
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    command: Option<String>,
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    out: Option<PathBuf>,
    /// Overwrite files that differ
    #[arg(long, requires = "out")]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  aiohost man run | man -l -                    read the page of a command
  aiohost man --out ~/.local/share/man/man1     put them where `man aiohost-run` finds them";

pub(super) fn man(options: &Options, definition: Command) -> anyhow::Result<()> {
    let mut definition = definition.disable_help_subcommand(true).subcommand_help_heading("COMMANDS");
    definition.build();
    let Some(dir) = &options.out else {
        let command = match &options.command {
            None => &definition,
            Some(name) => definition.find_subcommand(name).ok_or_else(|| no_such(name, &definition))?,
        };
        return streams::print(&page(command, &definition)?);
    };
    let mut pages = Vec::new();
    for command in std::iter::once(&definition).chain(definition.get_subcommands()) {
        pages.push((Man::new(command.clone()).get_filename(), page(command, &definition)?));
    }
    output_files::write(dir, pages.iter().map(|(name, text)| (name.as_str(), text.as_str())), options.force)
}

fn no_such(name: &str, definition: &Command) -> anyhow::Error {
    let names: Vec<&str> = definition.get_subcommands().map(Command::get_name).collect();
    let help = format!("the commands are {}", names.join(", "));
    Remedied { what: format!("there is no command `{name}`"), help }.into()
}

/// The page of a command, or of the whole definition.
fn page(command: &Command, definition: &Command) -> anyhow::Result<String> {
    let is_whole = command.get_name() == NAME;
    let page = Man::new(command.clone());
    let notes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let notes: Vec<Note<'_>> = notes.split("\n\n").filter(|text| !text.is_empty()).map(Note::of).collect();

    let mut text = Vec::new();
    title(command).to_writer(&mut text)?;
    page.render_name_section(&mut text)?;
    synopsis(command).to_writer(&mut text)?;
    page.render_description_section(&mut text)?;
    describe(&notes).to_writer(&mut text)?;
    text.extend(options(&page, command)?.into_bytes());
    if is_whole {
        page.render_subcommands_section(&mut text)?;
    }
    more(&notes).to_writer(&mut text)?;
    see_also(is_whole, definition).to_writer(&mut text)?;
    // Each part begins with the same definitions, which are needed once.
    let definitions = Roff::new().render();
    Ok(definitions.clone() + &String::from_utf8(text)?.replace(&definitions, ""))
}

fn title(command: &Command) -> Roff {
    let name = command.get_display_name().unwrap_or(NAME);
    let source = format!("{NAME} {}", env!("CARGO_PKG_VERSION"));
    let mut roff = Roff::new();
    // A date would be that of the build, and no two builds would be equal. It is empty, and not left out: what follows would take
    // its place.
    roff.control("TH", [name, "1", "\"\"", source.as_str(), "General Commands Manual"]);
    roff
}

/// As in the help. clap's own names every option.
fn synopsis(command: &Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]).text([bold(usage.trim_start_matches("Usage: ").trim())]);
    roff
}

/// The options, under headings of their own as in the help. clap makes each of them a section.
fn options(page: &Man, command: &Command) -> anyhow::Result<String> {
    let mut text = Vec::new();
    page.render_options_section(&mut text)?;
    let mut text = String::from_utf8(text)?;
    let line = |name: &str, heading: &str| Roff::new().control(name, [heading]).to_roff();
    for heading in command.get_arguments().filter_map(Arg::get_help_heading) {
        text = text.replace(&line("SH", &heading.to_uppercase()), &line("SS", heading));
    }
    Ok(text)
}

/// A paragraph of what stands below the options in the help.
enum Note<'a> {
    /// `Title: text`
    Titled(&'a str, &'a str),
    /// `Title:` and lines that stand as they are.
    Lines(&'a str, &'a str),
    Plain(&'a str),
}

impl<'a> Note<'a> {
    fn of(text: &'a str) -> Self {
        if let Some((title, lines)) = text.split_once(":\n") {
            return Self::Lines(title, lines);
        }
        match text.split_once(": ") {
            // A longer one is a sentence with a colon in it.
            Some((title, text)) if title.split(' ').count() <= 2 => Self::Titled(title, text),
            _ => Self::Plain(text),
        }
    }
}

/// What belongs to the description.
fn describe(notes: &[Note<'_>]) -> Roff {
    let mut roff = Roff::new();
    for note in notes {
        if let Note::Plain(text) = note {
            roff.control("PP", []).text([roman(*text)]);
        }
    }
    roff
}

/// The other paragraphs: what every manual has by its own name, and the rest as notes.
fn more(notes: &[Note<'_>]) -> Roff {
    let mut roff = Roff::new();
    let is_section = |title: &str| title == "Exit status";
    for note in notes {
        if let Note::Titled(title, text) = note
            && is_section(title)
        {
            roff.control("SH", [title.to_uppercase().as_str()]).text([roman(sentence(text))]);
        }
    }
    let titled = |note: &&Note<'_>| matches!(note, Note::Titled(title, _) if !is_section(title));
    for (index, note) in notes.iter().filter(titled).enumerate() {
        if index == 0 {
            roff.control("SH", ["NOTES"]);
        }
        if let Note::Titled(title, text) = note {
            roff.control("SS", [*title]).text([roman(sentence(text))]);
        }
    }
    for note in notes {
        if let Note::Lines(title, lines) = note {
            roff.control("SH", [title.to_uppercase().as_str()]).control("nf", []);
            for line in lines.lines() {
                roff.text([roman(line.trim_start())]);
            }
            roff.control("fi", []);
        }
    }
    roff
}

/// What stood behind a colon, as a sentence of its own.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn see_also(is_whole: bool, definition: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    if is_whole {
        let mut names = Vec::new();
        for command in definition.get_subcommands() {
            if !names.is_empty() {
                names.push(roman(", "));
            }
            names.extend([bold(format!("{}-{}", definition.get_name(), command.get_name())), roman("(1)")]);
        }
        roff.text(names);
    } else {
        roff.text([bold(definition.get_name()), roman("(1)")]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_of_the_help_has_its_place_in_a_manual() {
        let is_titled = |text| matches!(Note::of(text), Note::Titled("Exit status", "the plugin's own"));
        assert!(is_titled("Exit status: the plugin's own"));
        assert!(matches!(Note::of("Examples:\n  a\n  b"), Note::Lines("Examples", "  a\n  b")));
        assert!(matches!(Note::of("Compiled code is native code: no sandbox holds it."), Note::Plain(_)));
        assert!(matches!(Note::of("`aiohost help COMMAND` says more."), Note::Plain(_)));
    }
}
