//! `bench-plain.wasm`: the faces `blocking` and `submit`.

mod blocking;
mod submit;

wit_bindgen::generate!({ path: ["../../../wit", "wit"], world: "aiohost:benches/plain-guest", generate_all });

struct Guest;
export!(Guest);

impl exports::aiohost::benches::work::Guest for Guest {
    fn read_random(in_flight: Option<u32>, block: u32, count: u64) -> u64 {
        match in_flight {
            None => blocking::read_random(block, count),
            Some(in_flight) => submit::read_random(in_flight, block, count),
        }
    }

    fn stat_all(in_flight: Option<u32>, passes: u64) -> u64 {
        match in_flight {
            None => blocking::stat_all(passes),
            Some(in_flight) => submit::stat_all(in_flight, passes),
        }
    }

    fn open_read_close_all(in_flight: Option<u32>, passes: u64) -> u64 {
        match in_flight {
            None => blocking::open_read_close_all(passes),
            Some(in_flight) => submit::open_read_close_all(in_flight, passes),
        }
    }

    fn scandir_all(in_flight: Option<u32>, passes: u64) -> u64 {
        match in_flight {
            None => blocking::scandir_all(passes),
            Some(in_flight) => submit::scandir_all(in_flight, passes),
        }
    }

    // These are many steps in one request of the host, so one at a time is all there is to see.
    fn walk_all(_in_flight: Option<u32>, passes: u64) -> u64 {
        blocking::walk_all(passes)
    }

    fn copy(_in_flight: Option<u32>, passes: u64) -> u64 {
        blocking::copy(passes)
    }

    fn rmtree(_in_flight: Option<u32>, passes: u64) -> u64 {
        blocking::rmtree(passes)
    }

    fn nop(in_flight: Option<u32>, count: u64) -> u64 {
        match in_flight {
            None => blocking::nop(count),
            Some(in_flight) => submit::nop(in_flight, count),
        }
    }

    fn write_random(block: u32, count: u64) -> u64 {
        blocking::write_random(block, count)
    }

    fn stat_names(passes: u64) -> u64 {
        blocking::stat_names(passes)
    }

    fn durable(in_flight: Option<u32>, count: u64) -> u64 {
        match in_flight {
            None => blocking::durable(count),
            Some(in_flight) => submit::durable(in_flight, count),
        }
    }

    fn make(count: u64) -> u64 {
        blocking::make(count)
    }
}
