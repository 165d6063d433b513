//! esbuild, a large program in Go, beside its native one.

use std::fs;
use std::path::Path;

use crate::programs::Program;
use crate::programs::engine::Engine;
use crate::programs::trees::{native, new_dir};
use crate::toolchains::toolchain;

pub(super) const PROGRAM: Program = Program {
    name: "esbuild",
    get: || Ok(toolchain("esbuild.sh", &[])?.join("node_modules")),
    jobs: &[("bundle 300 modules to the same bytes", bundle)],
};

fn bundle(engine: &Engine, folder: &Path) {
    const MODULES: usize = 300;
    const ARGUMENTS: [&str; 4] = ["--bundle", "--minify", "--log-level=warning", "src/m299.js"];
    let dir = new_dir();
    fs::create_dir(dir.path().join("src")).expect("a directory of our own");
    for number in 0..MODULES {
        // Each but the first ones uses the next two.
        let text = match number {
            0..2 => format!("export const f{number} = (x) => x + {number};\n"),
            _ => {
                let (one, other) = (number - 1, number - 2);
                format!(
                    "import {{ f{one} }} from './m{one}.js';\nimport {{ f{other} }} from './m{other}.js';\n\
                     export const f{number} = (x) => f{one}(x) - f{other}(x) * {number};\n"
                )
            }
        };
        fs::write(dir.path().join(format!("src/m{number}.js")), text).expect("there is room on the disk");
    }
    // A program in Go has `/` for its working directory where that is granted.
    let program = folder.join("@esbuild/wasi-preview1/esbuild.wasm");
    let mut command = engine.command(dir.path(), &["--dir", ".::/"], &program);
    assert_eq!(engine.run(command.args(ARGUMENTS).arg("--outfile=out/here.js"), "").well(), "");
    let path = folder.join(".bin/esbuild");
    native(path.to_str().expect("a path of ours"), &[&ARGUMENTS[..], &["--outfile=out/native.js"]].concat(), dir.path());
    let made = |name: &str| fs::read(dir.path().join(name)).expect("it was made");
    let ours = made("out/here.js");
    assert!(ours.len() > MODULES * 10 && ours == made("out/native.js"));
}
