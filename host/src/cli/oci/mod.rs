//! `aiohost oci`: an OCI runtime that wraps another one. A container whose process is a plugin is run by this program, in the
//! container; everything else is left to the other runtime.

mod annotations;
mod bundle;
mod call;
mod code;
mod container;
mod grants;
mod limits;
mod parts;
mod plugin_file;
mod settings;

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;

use super::signals;
use bundle::Bundle;
use call::Call;
use settings::Settings;

/// The name by which the program is this command: engines take the path of a runtime, and no arguments with it.
pub(super) const PROGRAM: &str = "aiohost-oci";

/// Be an OCI runtime, by which containerd, podman and Kubernetes run plugins
#[derive(Args)]
#[command(after_help = HELP)]
pub(super) struct Options {
    /// What an engine tells its runtime, as for runc: create, start, state, kill, delete and so on, with their options
    #[arg(value_name = "COMMAND", required = true, allow_hyphen_values = true, trailing_var_arg = true)]
    words: Vec<OsString>,
}

const HELP: &str = "\
Engines call a runtime by its path, so give this program a second name: ln -s aiohost /usr/local/bin/aiohost-oci
  ctr run --runc-binary /usr/local/bin/aiohost-oci ...      containerd
  podman --runtime /usr/local/bin/aiohost-oci run ...       podman
host/deploy has the settings of containerd, CRI-O, Docker and Kubernetes.

All commands go to runc or crun, whichever is found first in PATH, or to AIOHOST_OCI_RUNTIME. Of a container whose process is a \
plugin (the first word of its command ends in .wasm) the bundle's config.json is changed before: its process is aiohost, its bind \
mounts and tmpfs are what --dir and --ro-dir are for `aiohost run`, and its environment and arguments are the plugin's. Of the \
image nothing is used but the plugin: the container has a root of its own. Namespaces, users, cgroups, signals, \
standard streams, hooks and exit status are those of any container. The plugin is compiled once for the whole machine.

Not granted are mounts at and below /proc, /sys, /dev, /run/secrets and /var/run/secrets, and what engines put into /etc and /run. \
A mount within another is reached through that one, unless it alone is for writing. The plugin works in the mount that is the \
container's working directory, or else in the first one.

Annotations of a container, which limit it further and can grant nothing:
  dev.aiohost.timeout         end it after this time, as 30s
  dev.aiohost.max-memory      memory, as 64MiB [default: the container's, or 1GiB]
  dev.aiohost.max-open-files  files and directories open at a time [default: 1024]
  dev.aiohost.max-in-flight   requests under way at a time [default: 4096]
  dev.aiohost.max-entries     entries that one answer lists [default: 1000000]
  dev.aiohost.dirs            mounts that are granted, and no others, in order: /data,/songs
  dev.aiohost.read-only       true: all of them for reading only
  dev.aiohost.allow           as --allow: mkfifo, syncfs, busy, procfs, if the settings have it
  dev.aiohost.stats           true: print at the end how many requests there were
  dev.aiohost.plugin          true: it is a plugin whatever its name is; false: it is none

Settings of the machine, all optional, in /etc/aiohost/oci.json (AIOHOST_OCI_SETTINGS):
  {\"runtime\": \"/usr/sbin/runc\",           the runtime to wrap
   \"native\": \"run\",                       what to do with containers that run no plugin:
                                            run, sandboxes (run only those of pods), refuse
   \"allow\": [\"syncfs\"],                   what annotations may ask for
   \"limits\": {\"max-open-files\": \"4096\"},  what they may go up to
   \"cache\": \"/var/cache/aiohost/oci\",     where compiled code is kept
   \"max-compile-time\": \"5m\", \"max-compile-memory\": \"4GiB\"}";

/// Prepares the bundle if it is about to become a container, and becomes the other runtime.
pub(super) fn oci(options: &Options) -> anyhow::Result<Infallible> {
    let call = Call::of(&options.words);
    let Err(error) = go_on(&call, &options.words);
    // Engines look for the reason there.
    call.log(&error);
    Err(error)
}

fn go_on(call: &Call, words: &[OsString]) -> anyhow::Result<Infallible> {
    let settings = Settings::load()?;
    let runtime = settings.runtime()?;
    if call.makes_a_container() {
        let bundle =
            Bundle::open(&call.bundle).with_context(|| format!("cannot prepare the bundle {}", call.bundle.display()))?;
        container::prepare(bundle, &settings)?;
    }
    signals::heed_file_size_limit();
    let error = Command::new(&runtime).args(words).exec();
    Err(anyhow::Error::new(error).context(format!("cannot start the runtime {}", runtime.display())))
}
