//! Requests that belong together: a limit, a deadline, and their outcome.

use std::io::{self, Seek, SeekFrom, Write};
use std::time::Duration;

use aiohost_guest::{Dir, File, Group, Next, submit};

fn main() -> io::Result<()> {
    let here = Dir::current();
    let group = Group::new();
    group.set_limit(4);
    group.set_deadline(Some(Duration::from_secs(60)));
    let names = ["one", "two", "none"];
    let requests: Vec<_> =
        names.iter().map(|name| Next::new().priority(1).group(&group).submit(|| submit::stat(&here, name))).collect();
    let outcome = group.wait()?;
    println!("{} done, {} failed", outcome.done, outcome.failed);
    let failed = outcome.first_failure.expect("one file is not there");
    assert_eq!(failed.id, requests[2].id());

    // More methods of `File` and `Dir`.
    let mut file = File::create("sparse")?;
    file.set_len(100)?;
    file.seek(SeekFrom::End(-3))?;
    file.write_all(b"end")?;
    here.write("whole", b"in one step")?;
    println!("{} {}", here.read("sparse")?.len(), here.copy("whole", "copy")?);
    Ok(())
}
