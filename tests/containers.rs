//! Plugins in containers: by runc and crun, by containerd, and by podman.
//!
//! `tests/containers/install.sh` installs what is missing, as root on Debian. What cannot be had, or cannot run a native program here,
//! is counted as ignored, and the reason is printed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Trial};

use bundles::Runtime;
use engine::{Engine, Kind};

#[path = "containers/bundles.rs"]
mod bundles;
#[path = "containers/cases.rs"]
mod cases;
#[path = "containers/engine.rs"]
mod engine;
#[path = "support/image.rs"]
mod image;
#[path = "containers/images.rs"]
mod images;
#[path = "support/more_time.rs"]
mod more_time;

/// A case, by its name.
type Case<T> = (&'static str, fn(&T));

/// Something that cases are tried with, or why not.
type Found<T> = Result<Arc<T>, String>;

fn main() {
    let arguments = Arguments::from_args();
    // Nothing has to be installed for a list of the tests.
    let install = if arguments.list { Err("only a list is wanted".to_owned()) } else { install() };
    let runtimes = ["runc", "crun"].map(|name| (name, install.clone().and_then(|()| Runtime::find(name).map(Arc::new))));
    let wrapped = runtimes.iter().find(|(_, runtime)| runtime.is_ok()).map(|(name, _)| *name);
    let images = tempfile::tempdir().expect("a temporary directory");
    let names = OnceLock::new();
    let engine = |kind| -> Found<Engine> {
        let engine = Engine::start(
            kind,
            wrapped.ok_or_else(|| install.clone().err().unwrap_or_else(|| "no runtime works".to_owned()))?,
        )?;
        engine.import(images.path(), names.get_or_init(|| images::make(images.path())));
        Ok(Arc::new(engine))
    };
    let engines = [("ctr", engine(Kind::Ctr)), ("podman", engine(Kind::Podman))];

    let mut trials = Vec::new();
    for (name, runtime) in &runtimes {
        add(&mut trials, name, runtime, bundles::CASES);
    }
    for ((name, engine), own) in engines.iter().zip([cases::OF_CTR, cases::OF_PODMAN]) {
        add(&mut trials, name, engine, &[cases::CASES, own].concat());
    }
    for language in images::LANGUAGES {
        trials.push(of_language(language, &engines[0].1));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop((engines, runtimes, images));
    conclusion.exit();
}

/// Adds the cases for something that was found or not.
fn add<T: Send + Sync + 'static>(trials: &mut Vec<Trial>, name: &str, found: &Found<T>, cases: &[Case<T>]) {
    if let Err(why) = found {
        eprintln!("containers with {name} are skipped: {why}");
    }
    for (case, test) in cases {
        let (found, test) = (found.clone(), *test);
        let is_missing = found.is_err();
        let trial = Trial::test(format!("{name}::{case}"), move || {
            test(&*found?);
            Ok(())
        });
        trials.push(trial.with_ignored_flag(is_missing));
    }
}

fn of_language(language: &'static str, engine: &Found<Engine>) -> Trial {
    let is_missing = engine.is_err() || !images::guest(&format!("manifest-{language}.wasm")).exists();
    let engine = engine.clone();
    let trial = Trial::test(format!("ctr::{language}"), move || {
        cases::language(&*engine?, language);
        Ok(())
    });
    trial.with_ignored_flag(is_missing)
}

/// Installs what is missing, or tells why it cannot be had.
fn install() -> Result<(), String> {
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/containers/install.sh");
    if !rustix::process::geteuid().is_root() {
        return Err("only root can run containers here".to_owned());
    }
    let output = Command::new(script).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    if !output.status.success() {
        // Some of them may be there.
        eprintln!("{said}");
    }
    Ok(())
}
