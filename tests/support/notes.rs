//! What the program says only where something takes long.

/// What it said on standard error but for its notes on a compilation and on requests that take longer than two seconds, as any of
/// them may on a busy machine. The tests of these notes look at all of it.
pub(crate) fn left_out(said: &str) -> String {
    said.split_inclusive('\n').filter(|line| !is_note(line.trim_end())).collect()
}

fn is_note(line: &str) -> bool {
    let begins = ["compiling ", "waiting for requests that still run;"].iter().any(|words| line.starts_with(words));
    begins && line.ends_with('…')
}
