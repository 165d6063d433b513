//! clang and wasm-ld, beside this machine's own compiler.

use std::fs;
use std::path::Path;

use crate::programs::Program;
use crate::programs::engine::Engine;
use crate::programs::trees::{native, new_dir};
use crate::toolchains::toolchain;

pub(super) const PROGRAM: Program =
    Program { name: "clang", get: || toolchain("clang.sh", &[]), jobs: &[("compile and link a program, which runs", compile)] };

/// The program: it sorts numbers, and writes some to a file.
const SOURCE: &str = r#"
#include <stdio.h>
#include <stdlib.h>

static int compare(const void *one, const void *other) { return *(const int *)one - *(const int *)other; }

int main(int argc, char **argv) {
  static int numbers[100000];
  unsigned number = 1;
  for (int i = 0; i < 100000; i++) numbers[i] = (number = number * 1664525 + 1013904223) >> 8;
  qsort(numbers, 100000, sizeof *numbers, compare);
  FILE *file = fopen(argv[1], "w");
  for (int i = 0; i < 100000; i += 1000) fprintf(file, "%d %.3f\n", numbers[i], numbers[i] / 7.0);
  return fclose(file) == 0 && printf("%d arguments\n", argc) > 0 ? 0 : 1;
}
"#;

fn compile(engine: &Engine, folder: &Path) {
    let dir = new_dir();
    fs::write(dir.path().join("program.c"), SOURCE).expect("there is room on the disk");
    let system = format!("{}::/usr", folder.join("usr").display());
    let llvm = |name: &str, arguments: &[&str]| {
        let options = ["--dir", ".", "--ro-dir", &system, "--argv0", name];
        let mut command = engine.command(dir.path(), &options, &folder.join("llvm.core.wasm"));
        assert_eq!(engine.run(command.args(arguments), "").well(), "");
    };
    llvm("clang", &["-O2", "-c", "program.c", "-o", "program.o"]);
    let libraries = ["-L/usr/lib/wasm32-wasip1", "-lc", "/usr/lib/wasm32-unknown-wasip1/libclang_rt.builtins.a"];
    llvm("wasm-ld", &[&["/usr/lib/wasm32-wasip1/crt1-command.o", "program.o", "-o", "program.wasm"][..], &libraries].concat());
    let program = dir.path().join("program.wasm");
    let said = engine.run(engine.command(dir.path(), &["--dir", "."], &program).arg("here"), "").well();
    native("cc", &["program.c", "-o", "program"], dir.path());
    assert_eq!(said, native("./program", &["there"], dir.path()));
    let made = |name: &str| fs::read_to_string(dir.path().join(name)).expect("it was made");
    assert!(made("here").lines().count() == 100 && made("here") == made("there"), "{}", made("here"));
}
