//! Requests that bring data to the device: `fsync`, `fdatasync`. What they do cannot be seen while the power is on; the
//! tests hold them to what must not change, and to every kind of handle.

use super::tests;
use crate::check::{content, create, readable, works};
use crate::face::{Error, Face, File, OpenFlags};

tests!(fsync, fdatasync);

async fn sync_every_handle<F: Face>(sync: impl AsyncFn(&File) -> Result<(), Error>) {
    let file = create::<F>("written", b"first").await;
    works(sync(&file).await);
    works(F::write(&file, None, b"again").await);
    works(sync(&file).await);
    works(sync(&file).await);
    assert_eq!(content::<F>("written").await, b"again", "the position stays where it was");
    assert_eq!(works(F::write(&file, None, b"!").await), 1);
    assert_eq!(content::<F>("written").await, b"again!");

    works(sync(&readable::<F>("digits").await).await);
    works(sync(&readable::<F>("/frozen/ice").await).await);
    works(sync(&works(F::open(None, "digits", OpenFlags::APPEND, 0).await)).await);
    works(F::unlink(None, "written").await);
    works(sync(&file).await);
}

async fn fsync<F: Face>() {
    sync_every_handle::<F>(async |file| F::fsync(file).await).await;
}

async fn fdatasync<F: Face>() {
    sync_every_handle::<F>(async |file| F::fdatasync(file).await).await;
}
