//! The face `blocking`: a call after the other, each of which returns when it is done.

use super::aiohost::aio::blocking;
use super::aiohost::aio::types::OpenFlags;
use crate::paths;
use crate::tree::{FILE_BYTES, TREE};
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

pub fn walk(passes: u64) -> u64 {
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

pub fn nop(count: u64) -> u64 {
    for _ in 0..count {
        blocking::nop().expect("nothing can fail");
    }
    count
}
