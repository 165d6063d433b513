//! `bench-async.wasm`: the face `requests`, with futures.

use aiohost::aio::requests;
use aiohost::aio::types::OpenFlags;
use futures::{StreamExt, stream};

use crate::workload::{DATA, Offsets, digest};

wit_bindgen::generate!({ path: ["../../../wit", "wit"], world: "aiohost:benches/async-guest", generate_all });

struct Guest;
export!(Guest);

impl exports::aiohost::benches::async_work::Guest for Guest {
    async fn read_random(in_flight: Option<u32>, block: u32, count: u64) -> u64 {
        let file = requests::open(None, DATA.to_owned(), OpenFlags::READ, 0).await.expect("the data is there");
        let reads = stream::iter(Offsets::new(block).take(count as usize))
            .map(|offset| requests::read(&file, Some(offset), block))
            .buffer_unordered(in_flight.unwrap_or(1) as usize);
        let digests = reads.map(|data| digest(&data.expect("the data can be read")));
        digests.fold(0u64, async |sum, digest| sum.wrapping_add(digest)).await
    }

    async fn nop(in_flight: Option<u32>, count: u64) -> u64 {
        let nops = stream::iter(0..count).map(|_| requests::nop()).buffer_unordered(in_flight.unwrap_or(1) as usize);
        nops.fold(0, async |done, result| {
            result.expect("nothing can fail");
            done + 1
        })
        .await
    }
}
