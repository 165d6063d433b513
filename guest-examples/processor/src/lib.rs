//! A plugin for an application with a world of its own: it exports typed functions, takes and gives handles of files and directories, and calls a
//! function of the application. `host/examples/processor` is the application.

use aiohost::aio::blocking;
use aiohost::aio::types::OpenFlags;

wit_bindgen::generate!({ path: ["../../wit", "../../host/examples/processor/wit"], world: "example:processor/processor", generate_all });

const PIECE: u32 = 64 * 1024;

struct Processor;

impl Guest for Processor {
    fn count(input: &File) -> Result<Summary, Error> {
        let mut summary = Summary { lines: 0, bytes: 0 };
        loop {
            let piece = blocking::read(input, Some(summary.bytes), PIECE)?;
            if piece.is_empty() {
                break;
            }
            summary.bytes += piece.len() as u64;
            summary.lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        report(&format!("{} lines in {} bytes", summary.lines, summary.bytes));
        Ok(summary)
    }

    fn names(of: &Dir) -> Result<Vec<String>, Error> {
        let mut names = blocking::readdir(Some(of), ".")?;
        names.sort();
        Ok(names)
    }

    fn enter(name: String) -> Result<Dir, Error> {
        blocking::open_dir(None, &name)
    }

    fn choose() -> Result<File, Error> {
        let mut names = blocking::scandir(None, ".", 0)?.others;
        names.sort();
        let name = names.first().map_or("there-is-none", String::as_str);
        report(&format!("it will be {name}"));
        blocking::open(None, name, OpenFlags::READ, 0)
    }
}

export!(Processor);
