//! A directory with 20,000 files.

use std::fs;

use tempfile::TempDir;

pub(crate) const FOLDERS: usize = 200;
pub(crate) const FILES: usize = 100;

/// 200 folders of 100 small files, and a name that needs care.
pub(crate) fn tree() -> TempDir {
    let dir = TempDir::new().expect("there is room for temporary files");
    for folder in 0..FOLDERS {
        let path = dir.path().join(format!("folder {folder}"));
        fs::create_dir(&path).expect("it can be made");
        for file in 0..FILES {
            let odd = if file == 0 { "back\\slash\nnewline" } else { "plain" };
            fs::write(path.join(format!("{file} {odd}")), format!("{folder}/{file}\n").repeat(file))
                .expect("it can be written");
        }
    }
    dir
}
