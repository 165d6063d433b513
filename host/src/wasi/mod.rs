//! WASI on aiohost's own engine: what programs that know only WASI call, through the same door as every request.

mod preopens;
pub(crate) mod preview1;
