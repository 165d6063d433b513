//! Directories and names, as with `std::fs`, all within a directory that was opened.

use std::io;

use aiohost_guest::{Dir, FileType, blocking};

fn main() -> io::Result<()> {
    let here = Dir::current();
    here.create_dir("project")?;
    let project = Dir::open("project")?;
    project.create_dir("src")?;
    project.write("src/main", b"hello\n")?;
    project.copy("src/main", "src/copy")?;
    project.hard_link("src/main", "same")?;
    project.symlink("src/main", "latest")?;

    // A symbolic link is followed, unless the call asks for the link itself.
    assert_eq!(project.metadata("latest")?.size, 6);
    assert_eq!(project.symlink_metadata("latest")?.type_, FileType::SymbolicLink);
    assert_eq!(project.read_link("latest")?, "src/main");
    assert!(project.canonicalize("latest")?.ends_with("/project/src/main"));
    // A file with two names exists until both are removed.
    assert_eq!(project.metadata("src/main")?.links, 2);
    project.remove_file("same")?;

    // An open directory remains the same when it is renamed.
    let source = project.open_dir("src")?;
    project.rename("src", "source")?;
    println!("the copy has {:?}", String::from_utf8_lossy(&source.read("copy")?));
    // No path leads out of a directory, not even to a place that the program may read in another way.
    let error = source.read("../latest").expect_err("it lies outside");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);

    // A function without a method here can be called with the handle.
    let volume = blocking::statvfs(project.at(), ".")?;
    eprintln!("{} bytes are free", volume.blocks_available * volume.fragment_size);

    project.create_dir("empty")?;
    project.remove_dir("empty")?;
    println!("{} names were removed", here.remove_dir_all("project")?);
    Ok(())
}
