//! `bench-wasi.wasm`: through `std::fs`, as a guest does that knows no host but WASI.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;

use crate::paths;
use crate::tree::{COPY, FILE_BYTES, LARGE, NAMES, NEW, SCRATCH, SCRATCH_BYTES, TREE, doomed, durable_name, name};
use crate::workload::{DATA, Offsets, digest};

wit_bindgen::generate!({ path: ["../../../wit", "wit"], world: "aiohost:benches/wasi-guest" });

struct Guest;
export!(Guest);

impl exports::aiohost::benches::work::Guest for Guest {
    fn read_random(in_flight: Option<u32>, block: u32, count: u64) -> u64 {
        one_at_a_time(in_flight);
        let file = File::open(DATA).expect("the data is there");
        let mut buffer = vec![0; block as usize];
        let mut sum = 0u64;
        for offset in Offsets::new(block).take(count as usize) {
            read_exact_at(&file, &mut buffer, offset);
            sum = sum.wrapping_add(digest(&buffer));
        }
        sum
    }

    fn stat_all(in_flight: Option<u32>, passes: u64) -> u64 {
        one_at_a_time(in_flight);
        let mut sum = 0;
        for _ in 0..passes {
            for path in paths() {
                sum += fs::metadata(path).expect("the file is there").len();
            }
        }
        sum
    }

    fn open_read_close_all(in_flight: Option<u32>, passes: u64) -> u64 {
        one_at_a_time(in_flight);
        let mut buffer = vec![0; FILE_BYTES as usize];
        let mut sum = 0u64;
        for _ in 0..passes {
            for path in paths() {
                File::open(path).expect("the file is there").read_exact(&mut buffer).expect("the file can be read");
                sum = sum.wrapping_add(digest(&buffer));
            }
        }
        sum
    }

    fn scandir_all(in_flight: Option<u32>, passes: u64) -> u64 {
        one_at_a_time(in_flight);
        let mut sum = 0;
        for _ in 0..passes {
            let mut todo = vec![TREE.to_owned()];
            while let Some(directory) = todo.pop() {
                for entry in fs::read_dir(&directory).expect("the directory is there") {
                    let entry = entry.expect("the directory can be read");
                    let name = entry.file_name().into_string().expect("the name is UTF-8");
                    if entry.file_type().expect("the type is known").is_dir() {
                        todo.push(format!("{directory}/{name}"));
                    } else {
                        sum += name.len() as u64;
                    }
                }
            }
        }
        sum
    }

    fn walk_all(in_flight: Option<u32>, passes: u64) -> u64 {
        Self::scandir_all(in_flight, passes)
    }

    fn copy(in_flight: Option<u32>, passes: u64) -> u64 {
        one_at_a_time(in_flight);
        (0..passes).map(|_| fs::copy(LARGE, COPY).expect("it can be copied")).sum()
    }

    fn rmtree(in_flight: Option<u32>, passes: u64) -> u64 {
        one_at_a_time(in_flight);
        // How many names that were is not told.
        (0..passes).for_each(|pass| fs::remove_dir_all(doomed(pass)).expect("it can be removed"));
        passes
    }

    fn write_random(block: u32, count: u64) -> u64 {
        let mut file = File::options().write(true).open(SCRATCH).expect("it is there");
        let data = vec![1; block as usize];
        let offsets = Offsets::within(SCRATCH_BYTES, block).take(count as usize);
        let write = |offset| {
            file.seek(SeekFrom::Start(offset)).expect("it has positions");
            file.write_all(&data).expect("it can be written");
            u64::from(block)
        };
        offsets.map(write).sum()
    }

    fn stat_names(passes: u64) -> u64 {
        let names: Vec<String> = (0..NAMES).map(name).collect();
        let all = (0..passes).flat_map(|_| &names);
        all.map(|name| fs::metadata(name).expect("the file is there").len()).sum()
    }

    fn durable(in_flight: Option<u32>, count: u64) -> u64 {
        one_at_a_time(in_flight);
        let data = vec![1; FILE_BYTES as usize];
        for number in 0..count {
            let mut file = File::create_new(durable_name(number)).expect("it can be made");
            file.write_all(&data).expect("it can be written");
            file.sync_all().expect("it can be brought to the device");
        }
        count * u64::from(FILE_BYTES)
    }

    fn make(count: u64) -> u64 {
        let data = vec![1; FILE_BYTES as usize];
        for _ in 0..count {
            File::create_new(NEW).expect("it can be made").write_all(&data).expect("it can be written");
            fs::remove_file(NEW).expect("it can be removed");
        }
        count * u64::from(FILE_BYTES)
    }

    fn nop(_in_flight: Option<u32>, _count: u64) -> u64 {
        panic!("WASI has no request that does nothing");
    }
}

fn one_at_a_time(in_flight: Option<u32>) {
    assert!(in_flight.is_none(), "std::fs does one thing after the other");
}

/// Reads all of the buffer: the host gives 64 KiB at a time at most.
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) {
    while !buffer.is_empty() {
        // SAFETY: the buffer is writable for its length.
        let count = unsafe { libc::pread(file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), offset as i64) };
        assert!(count > 0, "the data can be read");
        buffer = &mut buffer[count as usize..];
        offset += count as u64;
    }
}
