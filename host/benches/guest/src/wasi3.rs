//! `bench-wasi3.wasm`: the streams of WASI 0.3.

use futures::{StreamExt, stream};
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wit_bindgen::rt::async_support::{StreamReader, StreamResult};

use crate::workload::{DATA, Offsets, digest};

wit_bindgen::generate!({ path: ["../../../wit", "wit"], world: "aiohost:benches/stream-guest" });

struct Guest;
export!(Guest);

impl exports::aiohost::benches::stream_work::Guest for Guest {
    async fn read_random(in_flight: Option<u32>, block: u32, count: u64) -> u64 {
        let file = data().await;
        let reads = stream::iter(Offsets::new(block).take(count as usize))
            .map(|offset| read(&file, offset, block as usize))
            .buffer_unordered(in_flight.unwrap_or(1) as usize);
        reads.fold(0u64, async |sum, data| sum.wrapping_add(digest(&data))).await
    }

    async fn read_sequential(block: u32, count: u64) -> u64 {
        let (mut stream, _end) = data().await.read_via_stream(0);
        let mut piece = Vec::with_capacity(block as usize);
        let mut sum = 0u64;
        for _ in 0..count {
            piece.clear();
            piece = fill(&mut stream, piece, block as usize).await;
            sum = sum.wrapping_add(digest(&piece));
        }
        sum
    }
}

/// The file that is read.
async fn data() -> Descriptor {
    let (root, _) = get_directories().into_iter().next().expect("a directory was granted");
    let opened = root.open_at(PathFlags::empty(), DATA.to_owned(), OpenFlags::empty(), DescriptorFlags::READ).await;
    opened.expect("the data is there")
}

async fn read(file: &Descriptor, offset: u64, bytes: usize) -> Vec<u8> {
    let (mut stream, _end) = file.read_via_stream(offset);
    fill(&mut stream, Vec::with_capacity(bytes), bytes).await
}

/// Reads until a piece has this many bytes: the host gives as many as it has at a time.
async fn fill(stream: &mut StreamReader<u8>, mut piece: Vec<u8>, bytes: usize) -> Vec<u8> {
    while piece.len() < bytes {
        let result;
        (result, piece) = stream.read(piece).await;
        assert!(matches!(result, StreamResult::Complete(_)), "the data goes on");
    }
    piece
}
