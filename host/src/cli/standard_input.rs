//! A plugin that comes from standard input, as in `aiohost run - < plugin.wasm`

use std::path::Path;

use aiohost::{Host, Plugin};
use anyhow::Context as _;

use super::load::{self, Note};
use super::streams;

/// What the plugin is called in messages.
pub(super) const NAME: &str = "standard input";

/// More is not read. 256 MiB: a plugin may have no more, as the library says in its words once it sees one byte beyond.
const BYTES_MAX: u64 = 256 << 20;

/// Whether this stands for standard input, and not for a file.
pub(super) fn is_meant_by(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Loads a plugin, from a file or from standard input, which is at its end afterwards.
pub(super) fn load(host: &Host, path: &Path, note: Note) -> anyhow::Result<Plugin> {
    if !is_meant_by(path) {
        return Ok(load::load(host, path, note)?);
    }
    let content = streams::take_input(BYTES_MAX + 1).context("cannot read the plugin from standard input")?;
    Ok(host.load_bytes(NAME, &content)?)
}
