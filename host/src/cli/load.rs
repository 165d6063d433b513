//! Loading a plugin for a command, with a note when that takes long.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use aiohost::{Host, Plugin, Problem};

use super::streams;

/// How long a compilation may take before it is mentioned.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a compilation that takes long is mentioned, and what is said of the next time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Note {
    Silent,
    Plain,
    OnceOnly,
    EveryTime,
}

/// Loads a plugin. A file named `.cwasm` may hold compiled code.
pub(super) fn load(host: &Host, path: &Path, note: Note) -> Result<Plugin, Problem> {
    let _note = Pending::start(path, note);
    if path.extension().is_some_and(|extension| extension == "cwasm") {
        // SAFETY: whoever names such a file on the command line asks for native code to be run; `aiohost compile --help` says
        // what that means. A file of any other name is refused if it holds native code.
        return unsafe { host.load_trusted(path) };
    }
    host.load(path)
}

/// The same for a plugin that must not be compiled code, whatever the name of its file.
pub(super) fn load_source(host: &Host, path: &Path, note: Note) -> Result<Plugin, Problem> {
    let _note = Pending::start(path, note);
    host.load(path)
}

/// A note that is given unless this is dropped before.
struct Pending {
    _sender: Option<mpsc::Sender<()>>,
}

impl Pending {
    fn start(path: &Path, note: Note) -> Self {
        let afterwards = match note {
            Note::Silent => return Self { _sender: None },
            Note::Plain => "",
            Note::OnceOnly => " (once; cached afterwards)",
            Note::EveryTime => " (every time; without --no-cache, once)",
        };
        let text = format!("compiling {}{afterwards}…\n", path.display());
        let (sender, receiver) = mpsc::channel::<()>();
        let wait = move || {
            if receiver.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                streams::say(&text);
            }
        };
        // Without a thread there is no note.
        let started = thread::Builder::new().name("aiohost-note".to_owned()).spawn(wait);
        Self { _sender: started.ok().map(|_| sender) }
    }
}
