//! The face `blocking`: a call after the other, each of which returns when it is done.

use super::aiohost::aio::blocking;
use super::aiohost::aio::types::{FileType, OpenFlags};
use crate::paths;
use crate::tree::{COPY, FILE_BYTES, LARGE, NAMES, NEW, SCRATCH, SCRATCH_BYTES, TREE, doomed, durable_name, name};
use crate::workload::{DATA, Offsets, digest};

pub fn read_random(block: u32, count: u64) -> u64 {
    let file = blocking::open(None, DATA, OpenFlags::READ, 0).expect("the data is there");
    let mut sum = 0u64;
    for offset in Offsets::new(block).take(count as usize) {
        let data = blocking::read(&file, Some(offset), block).expect("the data can be read");
        sum = sum.wrapping_add(digest(&data));
    }
    sum
}

pub fn stat_all(passes: u64) -> u64 {
    let mut sum = 0;
    for _ in 0..passes {
        for path in paths() {
            sum += blocking::stat(None, path).expect("the file is there").size;
        }
    }
    sum
}

pub fn open_read_close_all(passes: u64) -> u64 {
    let mut sum = 0u64;
    for _ in 0..passes {
        for path in paths() {
            let file = blocking::open(None, path, OpenFlags::READ, 0).expect("the file is there");
            let data = blocking::read(&file, Some(0), FILE_BYTES).expect("the file can be read");
            blocking::close(file).expect("the file can be closed");
            sum = sum.wrapping_add(digest(&data));
        }
    }
    sum
}

pub fn scandir_all(passes: u64) -> u64 {
    let mut sum = 0;
    for _ in 0..passes {
        let mut todo = vec![TREE.to_owned()];
        while let Some(directory) = todo.pop() {
            let scan = blocking::scandir(None, &directory, 0).expect("the directory is there");
            todo.extend(scan.directories.iter().map(|name| format!("{directory}/{name}")));
            sum += scan.others.iter().map(|name| name.len() as u64).sum::<u64>();
        }
    }
    sum
}

pub fn walk_all(passes: u64) -> u64 {
    let mut sum = 0;
    for _ in 0..passes {
        let walker = blocking::walk(None, TREE, 0, 0).expect("the tree is there");
        loop {
            let entries = blocking::walk_next(&walker, 0).expect("it can be read");
            if entries.is_empty() {
                break;
            }
            for entry in entries.iter().filter(|entry| entry.type_ != FileType::Directory) {
                let start = entry.path.rfind('/').map_or(0, |slash| slash + 1);
                sum += (entry.path.len() - start) as u64;
            }
        }
    }
    sum
}

pub fn copy(passes: u64) -> u64 {
    (0..passes).map(|_| blocking::copy(None, LARGE, None, COPY).expect("it can be copied")).sum()
}

pub fn rmtree(passes: u64) -> u64 {
    (0..passes).map(|pass| blocking::rmtree(None, &doomed(pass), 0).expect("it can be removed")).sum()
}

pub fn write_random(block: u32, count: u64) -> u64 {
    let file = blocking::open(None, SCRATCH, OpenFlags::WRITE, 0).expect("it is there");
    let data = vec![1; block as usize];
    let offsets = Offsets::within(SCRATCH_BYTES, block).take(count as usize);
    offsets.map(|offset| blocking::write(&file, Some(offset), &data).expect("it can be written")).sum()
}

pub fn stat_names(passes: u64) -> u64 {
    let names: Vec<String> = (0..NAMES).map(name).collect();
    let all = (0..passes).flat_map(|_| &names);
    all.map(|name| blocking::stat(None, name).expect("the file is there").size).sum()
}

pub fn durable(count: u64) -> u64 {
    let data = vec![1; FILE_BYTES as usize];
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let make = |number| {
        let file = blocking::open(None, &durable_name(number), flags, 0o666).expect("it can be made");
        let written = blocking::write(&file, Some(0), &data).expect("it can be written");
        blocking::fsync(&file).expect("it can be brought to the device");
        blocking::close(file).expect("the file can be closed");
        written
    };
    (0..count).map(make).sum()
}

pub fn make(count: u64) -> u64 {
    let data = vec![1; FILE_BYTES as usize];
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let make = |_| {
        let file = blocking::open(None, NEW, flags, 0o666).expect("it can be made");
        let written = blocking::write(&file, Some(0), &data).expect("it can be written");
        blocking::close(file).expect("the file can be closed");
        blocking::unlink(None, NEW).expect("it can be removed");
        written
    };
    (0..count).map(make).sum()
}

pub fn nop(count: u64) -> u64 {
    for _ in 0..count {
        blocking::nop().expect("nothing can fail");
    }
    count
}
