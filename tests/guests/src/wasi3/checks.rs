//! What streams of files do by WASI 0.3, and what a guest is held to: each is run by its name, and panics where something is amiss.

use futures::FutureExt;
use futures::future::{join, join_all};
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasip3::wit_stream;
use wit_bindgen::rt::async_support::StreamResult;

use crate::files::code;
use crate::{number, root};

type Outcome<T> = Result<T, ErrorCode>;

pub async fn run(name: &str, arguments: &[&str]) {
    match (name, arguments) {
        ("streams", []) => streams().await,
        ("given-up", []) => given_up().await,
        ("pipe", []) => pipe().await,
        ("listing", [count]) => listing(number(count)).await,
        ("in-flight", []) => in_flight().await,
        ("synced", []) => synced().await,
        ("side-by-side", [path, count]) => side_by_side(path, number(count)).await,
        ("long-calls", [count]) => long_calls(number(count)).await,
        ("calls", [count]) => calls(number(count)).await,
        ("read-only", []) => read_only().await,
        ("both", []) => both().await,
        ("hangs", []) => hangs().await,
        ("begins", [path, count]) => begins(path, number(count)).await,
        ("writes", [count]) => writes(number(count)).await,
        ("holds", [path]) => holds(path).await,
        other => panic!("no check is called {other:?}"),
    }
}

fn works<T>(outcome: Outcome<T>) -> T {
    outcome.unwrap_or_else(|error| panic!("it failed: {}", code(&error)))
}

#[track_caller]
fn fails<T>(outcome: Outcome<T>, expected: &str) {
    let told = outcome.err().map(|error| code(&error));
    assert_eq!(told.as_deref(), Some(expected));
}

async fn open(path: &str, flags: DescriptorFlags) -> Outcome<Descriptor> {
    let open = if flags.contains(DescriptorFlags::WRITE) { OpenFlags::CREATE } else { OpenFlags::empty() };
    root().open_at(PathFlags::SYMLINK_FOLLOW, path.to_owned(), open, flags).await
}

async fn readable(path: &str) -> Descriptor {
    works(open(path, DescriptorFlags::READ).await)
}

async fn writable(path: &str) -> Descriptor {
    works(open(path, DescriptorFlags::READ | DescriptorFlags::WRITE).await)
}

async fn read(file: &Descriptor, offset: u64) -> Outcome<Vec<u8>> {
    let (stream, end) = file.read_via_stream(offset);
    let bytes = stream.collect().await;
    end.await.map(|()| bytes)
}

async fn write(file: &Descriptor, offset: Option<u64>, bytes: Vec<u8>) -> Outcome<usize> {
    let (mut writer, reader) = wit_stream::new();
    let end = match offset {
        Some(offset) => file.write_via_stream(reader, offset),
        None => file.append_via_stream(reader),
    };
    let (left, end) = join(
        async move {
            let left = writer.write_all(bytes).await;
            drop(writer);
            left.len()
        },
        async { end.await },
    )
    .await;
    end.map(|()| left)
}

async fn streams() {
    let file = writable("stream").await;
    assert_eq!(works(write(&file, Some(0), b"0123456789".to_vec()).await), 0);
    assert_eq!(works(write(&file, None, b"abc".to_vec()).await), 0);
    assert_eq!(works(write(&file, Some(4), b"--".to_vec()).await), 0);
    assert_eq!(works(write(&file, Some(4), Vec::new()).await), 0);
    for (offset, expected) in [(0, "0123--6789abc"), (11, "bc"), (13, ""), (1 << 40, "")] {
        assert_eq!(works(read(&file, offset).await), expected.as_bytes(), "from {offset}");
    }
    // A stream ends; the file goes on, and the next stream sees it.
    works(write(&file, None, b"more".to_vec()).await);
    assert_eq!(works(read(&file, 13).await), b"more");
    fails(read(&file, u64::MAX).await, "Invalid");
    fails(write(&file, Some(u64::MAX), b"x".to_vec()).await, "Invalid");
    fails(read(&root(), 0).await, "IsDirectory");
    fails(write(&root(), Some(0), b"x".to_vec()).await, "BadDescriptor");
    let only_read = readable("stream").await;
    fails(write(&only_read, Some(0), b"x".to_vec()).await, "BadDescriptor");
    fails(write(&only_read, None, b"x".to_vec()).await, "BadDescriptor");
    let only_written = works(open("stream", DescriptorFlags::WRITE).await);
    fails(read(&only_written, 0).await, "BadDescriptor");
    let (entries, end) = only_read.read_directory();
    assert!(entries.collect().await.is_empty());
    fails(end.await, "NotDirectory");
    // The descriptor may go before the stream.
    let (stream, end) = only_read.read_via_stream(0);
    drop(only_read);
    assert_eq!(stream.collect().await.len(), 17);
    works(end.await);
    // More than any buffer on the way holds, and pieces of odd sizes.
    let long = content(3_000_001);
    assert_eq!(works(write(&file, Some(3), long.clone()).await), 0);
    assert!(works(read(&file, 3).await) == long, "other bytes came back");
    let (mut stream, end) = file.read_via_stream(3);
    let mut found = Vec::new();
    for room in (1..).map(|number| 1 + number * 1237 % 70_001) {
        let (result, bytes) = stream.read(Vec::with_capacity(room)).await;
        found.extend(bytes);
        if matches!(result, StreamResult::Dropped) {
            break;
        }
    }
    assert!(found == long, "other bytes came in pieces");
    works(end.await);
}

/// Bytes of which no part is like another: what comes twice, or from another place, is noticed.
fn content(length: u64) -> Vec<u8> {
    (0..length).map(|number| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// A stream that is dropped gives everything back, whoever drops it and when.
async fn given_up() {
    let file = writable("given-up").await;
    works(write(&file, Some(0), vec![7; 2 << 20]).await);
    for round in 0..300 {
        let (mut stream, end) = file.read_via_stream(round);
        assert_eq!(stream.next().await, Some(7));
        drop(stream);
        works(end.await);
        let (stream, end) = file.read_via_stream(0);
        drop(end);
        drop(stream);
        // One that is begun and canceled.
        let (mut stream, end) = file.read_via_stream(0);
        drop(stream.read(Vec::with_capacity(1 << 20)).now_or_never());
        drop(stream);
        works(end.await);
        // A writer that brings some and goes, and one that nobody hears of.
        let (mut writer, reader) = wit_stream::new();
        let end = file.write_via_stream(reader, 0);
        drop(writer.write(vec![7; 1 << 20]).now_or_never());
        drop(writer);
        works(end.await);
        let (writer, reader) = wit_stream::new::<u8>();
        drop(file.append_via_stream(reader));
        drop(writer);
        let (mut entries, end) = root().read_directory();
        assert!(entries.next().await.is_some());
        drop(entries);
        works(end.await);
    }
    assert!(works(read(&file, 0).await).iter().all(|byte| *byte == 7));
}

/// The bytes of one file straight into another: no byte comes by the guest.
async fn pipe() {
    let (from, to) = (writable("from").await, writable("to").await);
    let long = content(3_000_001);
    works(write(&from, Some(0), long.clone()).await);
    let (stream, read_end) = from.read_via_stream(1);
    let (written, read) = join(async { to.write_via_stream(stream, 0).await }, async { read_end.await }).await;
    works(written);
    works(read);
    assert!(works(read_all(&to).await) == long[1..], "other bytes came there");
}

async fn read_all(file: &Descriptor) -> Outcome<Vec<u8>> {
    read(file, 0).await
}

/// `count` files besides one whose name is not UTF-8: each is listed once, also while others read the same directory.
async fn listing(count: u64) {
    let dir = root();
    let names = async |room: usize| {
        let (mut stream, end) = dir.read_directory();
        let mut names = Vec::new();
        loop {
            let (result, entries) = stream.read(Vec::with_capacity(room)).await;
            assert!(entries.len() <= room);
            names.extend(entries.into_iter().map(|entry| entry.name));
            if matches!(result, StreamResult::Dropped) {
                break;
            }
        }
        works(end.await);
        names.sort();
        names
    };
    let (one, other) = join(names(1), names(1000)).await;
    assert_eq!(one, other);
    let mut expected: Vec<String> = (0..count).map(|number| format!("file-{number}")).collect();
    expected.sort();
    let (known, odd): (Vec<String>, Vec<String>) = one.into_iter().partition(|name| name.starts_with("file-"));
    assert_eq!(known, expected);
    println!("{}", odd.len());
    for name in odd {
        let status = works(dir.stat_at(PathFlags::empty(), name).await);
        println!("{}", status.size);
    }
    // Whoever removes what is listed finds everything.
    let (mut stream, end) = dir.read_directory();
    while let Some(entry) = stream.next().await {
        works(dir.unlink_file_at(entry.name).await);
    }
    works(end.await);
    assert!(names(10).await.is_empty());
}

/// More calls than may be under way at a time: all of them end.
async fn in_flight() {
    let dir = root();
    let made = join_all((0..300).map(|number| dir.create_directory_at(format!("dir-{number}")))).await;
    assert!(made.into_iter().all(|result| result.is_ok()));
    let files = join_all((0..40).map(|number| async move {
        let file = writable(&format!("file-{number}")).await;
        works(write(&file, Some(0), vec![number; 100_000]).await);
        works(file.sync().await);
        works(read(&file, 0).await)
    }));
    for (number, bytes) in (0u8..).zip(files.await) {
        assert!(bytes.len() == 100_000 && bytes.iter().all(|byte| *byte == number));
    }
    let removed = join_all((0..300).map(|number| dir.remove_directory_at(format!("dir-{number}")))).await;
    assert!(removed.into_iter().all(|result| result.is_ok()));
}

/// Opens a file in every way in which it can be synchronous, writes to it, and tells what the descriptor says of itself.
async fn synced() {
    let [data, file, requested] =
        [DescriptorFlags::DATA_INTEGRITY_SYNC, DescriptorFlags::FILE_INTEGRITY_SYNC, DescriptorFlags::REQUESTED_WRITE_SYNC];
    for flags in [DescriptorFlags::empty(), data, file, requested, data | file] {
        let opened = works(open("synced", flags | DescriptorFlags::WRITE).await);
        works(write(&opened, Some(0), b"x".to_vec()).await);
        println!("{:?}", works(opened.get_flags().await));
    }
}

/// Begins to read a file `count` times, all at a time, each as much at once as a worker moves, and waits for all of it.
async fn side_by_side(path: &str, count: u64) {
    const AT_ONCE: usize = 256 << 10;
    let file = readable(path).await;
    let reads = (0..count).map(async |_| {
        let (mut stream, end) = file.read_via_stream(0);
        let mut length = 0;
        loop {
            let (result, bytes) = stream.read(Vec::with_capacity(AT_ONCE)).await;
            length += bytes.len();
            if matches!(result, StreamResult::Dropped) {
                break;
            }
        }
        works(end.await);
        length
    });
    let (lengths, ()) = join(join_all(reads), async { println!("begun") }).await;
    assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
    println!("{} bytes", lengths[0]);
}

/// Makes `count` directories, all at a time, and tells how many were made and what became of the others.
async fn calls(count: u64) {
    let dir = root();
    let calls = (0..count).map(|number| dir.create_directory_at(format!("dir-{number}")));
    let (made, ()) = join(join_all(calls), async { println!("begun") }).await;
    let mut others: Vec<String> = made.iter().filter_map(|result| result.as_ref().err().map(code)).collect();
    let refused = others.len();
    others.dedup();
    println!("{} made, {refused} refused: {}", made.len() - refused, others.join(", "));
}

/// Opens what is not there by paths that are as long as they may be, all at a time, and tells how often that was refused, and why.
async fn long_calls(count: u64) {
    let dir = root();
    let calls = (0..count).map(|_| {
        let path = format!("{}none", "./".repeat(2045));
        dir.open_at(PathFlags::empty(), path, OpenFlags::empty(), DescriptorFlags::READ)
    });
    let (opened, ()) = join(join_all(calls), async { println!("begun") }).await;
    let mut why: Vec<String> = opened.iter().filter_map(|result| result.as_ref().err().map(code)).collect();
    why.retain(|code| code != "NoEntry");
    let refused = why.len();
    why.dedup();
    println!("{refused} refused: {}", why.join(", "));
}

/// In a directory for reading only, with a file `file`.
async fn read_only() {
    let dir = root();
    fails(dir.create_directory_at("new".to_owned()).await, "ReadOnly");
    fails(dir.unlink_file_at("file".to_owned()).await, "ReadOnly");
    fails(dir.symlink_at("file".to_owned(), "link".to_owned()).await, "ReadOnly");
    fails(dir.rename_at("file".to_owned(), &dir, "other".to_owned()).await, "ReadOnly");
    fails(open("file", DescriptorFlags::WRITE).await, "ReadOnly");
    let file = readable("file").await;
    fails(write(&file, Some(0), b"x".to_vec()).await, "BadDescriptor");
    fails(file.set_size(0).await, "BadDescriptor");
    println!("{}", String::from_utf8(works(read(&file, 0).await)).expect("text"));
    println!("{:?}", works(dir.get_flags().await));
}

/// The standard library's files are those of WASI 0.2.
async fn both() {
    std::fs::write("both", "by WASI 0.2").expect("a directory of our own");
    let file = writable("both").await;
    assert_eq!(works(read(&file, 0).await), b"by WASI 0.2");
    works(write(&file, Some(8), b"0.3".to_vec()).await);
    assert_eq!(std::fs::read("both").expect("it is there"), b"by WASI 0.3");
}

/// Waits for the end of a stream that it never ends itself.
async fn hangs() {
    let file = writable("hangs").await;
    let (mut writer, reader) = wit_stream::new();
    let end = file.write_via_stream(reader, 0);
    assert!(writer.write_all(b"before".to_vec()).await.is_empty());
    println!("waits");
    works(end.await);
    drop(writer);
}

/// Begins to read a file `count` times, gives each up, and reads it.
async fn begins(path: &str, count: u64) {
    let file = readable(path).await;
    for _ in 0..count {
        let (mut stream, end) = file.read_via_stream(0);
        drop(stream.read(Vec::with_capacity(1 << 20)).now_or_never());
        drop(stream);
        works(end.await);
    }
    println!("begun");
    // There is memory for it.
    assert!(!works(read_all(&file).await).is_empty());
}

/// Writes `count` small pieces into one stream.
async fn writes(count: u64) {
    let file = writable("pieces").await;
    let (mut writer, reader) = wit_stream::new();
    let end = file.append_via_stream(reader);
    for _ in 0..count {
        assert!(writer.write_all(b"13 bytes here".to_vec()).await.is_empty());
    }
    drop(writer);
    works(end.await);
    assert_eq!(works(file.stat().await).size, 13 * count);
}

/// Holds as many streams as it can, each with a read under way or a part of the file read.
async fn holds(path: &str) {
    let file = readable(path).await;
    let mut streams = Vec::new();
    for number in 0..2000 {
        let (mut stream, end) = file.read_via_stream(number * 4096);
        let _ = stream.next().await;
        streams.push((stream, end));
    }
    println!("{}", streams.len());
}
