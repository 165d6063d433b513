//! The parameters of requests that move bytes of files: each is parsed into the request itself, which is made of steps.

use wasmtime::component::Resource;

use super::{Arguments, At, Lookup};
use crate::error::Result;
use crate::sandbox::{CopyFile, LoadFile, MoveFile, OpenFile, Sendfile, SlurpFile, StoreFile};

impl Arguments for (LoadFile,) {
    type Wire = (At, String);

    fn parse((at, path): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((LoadFile::new(lookup.place(&at, path)?),))
    }
}

impl Arguments for (SlurpFile,) {
    type Wire = (At, String, i64, Option<u32>);

    fn parse((at, path, offset, length): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((SlurpFile::new(lookup.place(&at, path)?, offset, length),))
    }
}

impl Arguments for (StoreFile,) {
    type Wire = (At, String, Vec<u8>, u16);

    fn parse((at, path, data, mode): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((StoreFile::new(lookup.place(&at, path)?, data, mode),))
    }
}

impl Arguments for (CopyFile,) {
    type Wire = (At, String, At, String);

    fn parse((at, path, to_at, to_path): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((CopyFile::new(lookup.place(&at, path)?, lookup.place(&to_at, to_path)?),))
    }
}

impl Arguments for (MoveFile,) {
    type Wire = (At, String, At, String);

    fn parse((at, path, to_at, to_path): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        Ok((MoveFile::new(lookup.place(&at, path)?, lookup.place(&to_at, to_path)?),))
    }
}

impl Arguments for (Sendfile,) {
    type Wire = (Resource<OpenFile>, Option<u64>, Resource<OpenFile>, u64, u64);

    fn parse((output, offset, input, input_offset, length): Self::Wire, lookup: &mut Lookup<'_>) -> Result<Self> {
        let (output, input) = (lookup.file(&output)?, lookup.file(&input)?);
        Ok((Sendfile::new(output, offset, input, input_offset, length),))
    }
}
