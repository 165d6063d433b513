//! What can go wrong: what happened, why, and what to do about it.

use std::borrow::Cow;
use std::{error, fmt};

use crate::shown;

/// The class of a [`Problem`], by which a program may decide what to do. Later versions may have more.
///
/// ```
/// use aiohost::ProblemKind;
///
/// /// Whether it may help to try again with more time or memory.
/// fn is_a_matter_of_limits(kind: ProblemKind) -> bool {
///     matches!(kind, ProblemKind::Limit | ProblemKind::Timeout)
/// }
/// # assert!(is_a_matter_of_limits(ProblemKind::Timeout) && !is_a_matter_of_limits(ProblemKind::Trap));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A file of the host cannot be read or written.
    File,
    /// A directory that was to be granted cannot be.
    Directory,
    /// The file is not WebAssembly, is damaged, or is compiled code that this host cannot run.
    Format,
    /// The plugin imports something that this host does not have, or has with another type.
    World,
    /// The WIT that a module was built for cannot be used.
    Wit,
    /// The plugin does not export what was to be called.
    Export,
    /// The call that was asked for does not fit the function.
    Call,
    /// The plugin reached a limit that ends it.
    Limit,
    /// The plugin trapped: its own code is wrong.
    Trap,
    /// The run took longer than it may.
    Timeout,
    /// The plugin was ended for another reason, or the host itself failed.
    Host,
}

/// What went wrong. [`Display`](fmt::Display) says what happened, [`source`](error::Error::source) why, and
/// [`help`](Problem::help) what to do about it. The texts are for people and may change; programs use [`kind`](Problem::kind).
///
/// In what happened and in the help, names from a plugin are escaped as [`shown`] does. The source may be an error of another crate:
/// pass it through [`shown::text`] before it goes to a terminal.
///
/// ```
/// use std::error::Error as _;
///
/// use aiohost::{AioCtx, ProblemKind, Rights};
///
/// let problem = AioCtx::builder().dir("/no/such/directory", ".", Rights::Read).expect_err("it is not there");
/// assert_eq!(problem.kind(), ProblemKind::Directory);
/// assert_eq!(problem.to_string(), "cannot open the directory /no/such/directory");
/// assert!(problem.source().is_some_and(|cause| cause.to_string().starts_with("No such file or directory")));
/// // Some have advice, in the terms of this crate and in those of the command.
/// assert_eq!((problem.help(), problem.help_for_command()), (None, None));
/// ```
#[derive(Debug)]
pub struct Problem {
    kind: ProblemKind,
    what: String,
    cause: Option<anyhow::Error>,
    help: Option<Remedy>,
}

/// What to do about a problem, for whoever writes a program and for whoever uses the command.
#[derive(Debug)]
pub(crate) struct Remedy {
    program: String,
    command: String,
}

pub(crate) type Result<T> = std::result::Result<T, Problem>;

impl Remedy {
    /// Where a program does it by a function and a user of the command by an option.
    pub(crate) fn of(program: impl Into<String>, command: impl Into<String>) -> Self {
        Self { program: showable(program), command: showable(command) }
    }
}

/// The same for both.
impl From<String> for Remedy {
    fn from(text: String) -> Self {
        Self::of(text.clone(), text)
    }
}

/// The same for both.
impl From<&str> for Remedy {
    fn from(text: &str) -> Self {
        Self::of(text, text)
    }
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, what: impl Into<String>) -> Self {
        Self { kind, what: showable(what), cause: None, help: None }
    }

    pub(crate) fn because(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub(crate) fn because_text(self, cause: impl Into<String>) -> Self {
        self.because(anyhow::Error::msg(showable(cause)))
    }

    pub(crate) fn help_with(mut self, help: impl Into<Remedy>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With a text for each of the two; see [`Remedy::of`].
    pub(crate) fn help_for(self, program: impl Into<String>, command: impl Into<String>) -> Self {
        self.help_with(Remedy::of(program, command))
    }

    /// The class of the problem; see the example at [`Problem`].
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// What to do about it, in terms of this crate, if there is any advice.
    pub fn help(&self) -> Option<&str> {
        self.help.as_ref().map(|help| help.program.as_str())
    }

    /// The same in terms of the options of the command `aiohost`.
    pub fn help_for_command(&self) -> Option<&str> {
        self.help.as_ref().map(|help| help.command.as_str())
    }
}

fn showable(words: impl Into<String>) -> String {
    let words = words.into();
    match shown::text(&words) {
        Cow::Borrowed(_) => words,
        Cow::Owned(shown) => shown,
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl error::Error for Problem {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        let cause: &(dyn error::Error + Send + Sync + 'static) = self.cause.as_ref()?.as_ref();
        Some(cause)
    }
}
