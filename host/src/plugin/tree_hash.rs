//! The BLAKE3 hash of something large, worked out by several threads: it is a tree, and its parts know nothing of each other.

use std::io::{Error, Result};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use blake3::{Hash, Hasher};

/// What one thread does at a time. 1 MiB, some 0.5 ms; a power of two, so that it is a part of the tree.
pub(super) const PART_BYTES: usize = 1 << 20;

/// Bytes that are read at a time. They stay in the processor's cache, from where they are hashed.
const PIECE_BYTES: usize = 256 << 10;

/// Threads at most. 4: from there on it is the memory that takes the time.
const THREADS_MAX: usize = 4;

/// A hash of this mode that has seen nothing.
pub(super) fn begun(mode: Mode<'_>) -> Hasher {
    match mode {
        Mode::Hash => Hasher::new(),
        Mode::KeyedHash(key) => Hasher::new_keyed(key),
        Mode::DeriveKeyMaterial(context) => Hasher::new_from_context_key(context),
    }
}

/// Hashes so many bytes, which `read` fills a buffer with from an offset on.
pub(super) fn hash(bytes: usize, mode: Mode<'_>, read: impl Fn(&mut [u8], u64) -> Result<()> + Sync) -> Result<Hash> {
    let feed = |hasher: &mut Hasher, piece: &mut [u8], from: usize| {
        for at in (from..bytes.min(from + PART_BYTES)).step_by(PIECE_BYTES) {
            let piece = &mut piece[..PIECE_BYTES.min(bytes - at)];
            read(piece, u64::try_from(at).map_err(Error::other)?)?;
            hasher.update(piece);
        }
        Ok::<_, Error>(())
    };
    if bytes <= PART_BYTES {
        let mut hasher = begun(mode);
        feed(&mut hasher, &mut vec![0; PIECE_BYTES.min(bytes)], 0)?;
        return Ok(hasher.finalize());
    }
    let parts = bytes.div_ceil(PART_BYTES);
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut done, mut piece) = (Vec::new(), vec![0; PIECE_BYTES]);
        loop {
            let part = next.fetch_add(1, Ordering::Relaxed);
            if part >= parts {
                return Ok::<_, Error>(done);
            }
            let (from, mut hasher) = (part * PART_BYTES, begun(mode));
            hasher.set_input_offset(u64::try_from(from).map_err(Error::other)?);
            feed(&mut hasher, &mut piece, from)?;
            done.push((part, hasher.finalize_non_root()));
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS_MAX).min(parts);
    let mut values = thread::scope(|scope| {
        // Where no thread can be had, the others do its part.
        let helper = |_| thread::Builder::new().name("aiohost-hash".to_owned()).spawn_scoped(scope, work).ok();
        let helpers: Vec<_> = (1..threads).filter_map(helper).collect();
        let own = work();
        let helped = helpers.into_iter().map(|helper| helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        helped.chain([own]).collect::<Result<Vec<_>>>()
    })?
    .concat();
    values.sort_unstable_by_key(|(part, _)| *part);
    let values: Vec<ChainingValue> = values.into_iter().map(|(_, value)| value).collect();
    let (left, right) = halves(&values);
    Ok(merge_subtrees_root(&merged(left, mode), &merged(right, mode), mode))
}

/// The left one is the largest power of two that leaves something for the right one.
fn halves(values: &[ChainingValue]) -> (&[ChainingValue], &[ChainingValue]) {
    values.split_at(values.len().div_ceil(2).next_power_of_two())
}

fn merged(values: &[ChainingValue], mode: Mode<'_>) -> ChainingValue {
    if let [value] = values {
        return *value;
    }
    let (left, right) = halves(values);
    merge_subtrees_non_root(&merged(left, mode), &merged(right, mode), mode)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn parts_come_to_the_hash_of_the_whole() {
        let content: Vec<u8> = (0..=250).cycle().take(9 * PART_BYTES + 1).collect();
        let read = |buffer: &mut [u8], at: u64| {
            let at = usize::try_from(at).expect("a small number");
            buffer.copy_from_slice(&content[at..at + buffer.len()]);
            Ok(())
        };
        let key = [7; blake3::KEY_LEN];
        let parts = (0..10).flat_map(|parts| [0, 1, 1024, PIECE_BYTES].map(|more| parts * PART_BYTES + more));
        for bytes in parts.flat_map(|bytes| [bytes.saturating_sub(1), bytes]).filter(|bytes| *bytes <= content.len()) {
            assert_eq!(hash(bytes, Mode::Hash, read).expect("memory can be read"), blake3::hash(&content[..bytes]), "{bytes}");
            let keyed = hash(bytes, Mode::KeyedHash(&key), read).expect("memory can be read");
            assert_eq!(keyed, blake3::keyed_hash(&key, &content[..bytes]), "{bytes}");
        }
    }

    #[test]
    fn what_cannot_be_read_in_any_part_is_told() {
        for bad in 0..5 {
            let read = |_: &mut [u8], at: u64| {
                if at == bad * u64::try_from(PART_BYTES).expect("a small number") {
                    Err(ErrorKind::UnexpectedEof.into())
                } else {
                    Ok(())
                }
            };
            let problem = hash(4 * PART_BYTES + 1, Mode::Hash, read).expect_err("a part is missing");
            assert_eq!(problem.kind(), ErrorKind::UnexpectedEof);
        }
    }
}
