//! Programs that use what the standard library of their language has for files, beside the same programs on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::guests::{Language, built};
use crate::programs::Program;
use crate::programs::engine::Engine;
use crate::programs::trees::{contents, native, new_dir};
use crate::toolchains::{build_folder, root, said, toolchain};

pub(super) const GO: Program = Program {
    name: "a program in Go",
    get: || {
        built("tree", Language::NativeGo, &[])?;
        built("tree", Language::Go, &[])
    },
    jobs: &[("walk, rename and remove 3,000 files", go)],
};

pub(super) const PYTHON: Program =
    Program { name: "a program in Python", get: python_component, jobs: &[("walk, rename and remove 3,000 files", python)] };

fn go(engine: &Engine, program: &Path) {
    let (here, there) = (new_dir(), new_dir());
    let native = Command::new(program.with_extension("")).current_dir(there.path()).output().expect("it was built");
    // A program in Go has `/` for its working directory where that is granted.
    let ended = engine.run(&mut engine.command(here.path(), &["--dir", ".::/"], program), "");
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(9), ""), "{}", ended.stdout);
    let expected = String::from_utf8(native.stdout).expect("programs say text");
    assert_eq!((native.status.code(), ended.stdout.as_str()), (Some(9), expected.as_str()));
    assert!(ended.stdout.lines().count() > 10 && contents(here.path()) == contents(there.path()));
}

/// Where the program in Python is.
fn source() -> PathBuf {
    root().join("tests/wasi/guests/python")
}

/// The component, which is made only once of the same source, since it is another one each time.
fn python_component() -> Result<PathBuf, String> {
    let tool = toolchain("componentize-py.sh", &[])?;
    let folder = build_folder("python");
    let component = folder.join("tree.wasm");
    let names = ["app.py", "tree.py", "wit/world.wit"];
    fs::create_dir_all(folder.join("wit")).expect("the target directory can be written");
    let mut is_made = component.exists();
    for name in names {
        let text = fs::read(source().join(name)).expect("it is in the repository");
        if !fs::read(folder.join(name)).is_ok_and(|before| before == text) {
            fs::write(folder.join(name), text).expect("the target directory can be written");
            is_made = false;
        }
    }
    if !is_made {
        let mut command = Command::new(tool);
        command.current_dir(&folder).args(["--wit-path", "wit", "--world", "program", "componentize", "--python-path", "."]);
        said(command.args(["app", "--output", "tree.wasm"])).unwrap_or_else(|failure| panic!("{failure}"));
    }
    Ok(component)
}

fn python(engine: &Engine, program: &Path) {
    let (here, there) = (new_dir(), new_dir());
    let path = source().join("tree.py");
    let expected = native("python3", &["-B", path.to_str().expect("a path of ours")], there.path());
    let said = engine.run(&mut engine.command(here.path(), &["--dir", "."], program), "").well();
    assert_eq!(said, expected);
    assert!(said.lines().count() > 10 && contents(here.path()) == contents(there.path()));
}
