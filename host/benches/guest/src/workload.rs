//! What is read. The harness has this module too, for the native loops and for making the data.

/// The file that random reads go to, and its size. 256 MiB: far more than the processor's caches hold.
pub(crate) const DATA: &str = "data";
pub(crate) const DATA_BYTES: u64 = 256 << 20;

/// The offsets that random reads go to, in an order that comes to each block once before it starts over.
pub(crate) struct Offsets {
    block: u64,
    blocks: u64,
    state: u64,
}

impl Offsets {
    pub(crate) fn new(block: u32) -> Self {
        Self::within(DATA_BYTES, block)
    }

    /// The same in a file of another size, a power of two as well.
    pub(crate) fn within(bytes: u64, block: u32) -> Self {
        let block = u64::from(block);
        Self { block, blocks: bytes / block, state: 0 }
    }
}

impl Iterator for Offsets {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        // A linear congruential generator with the period of its modulus, which is a power of two: the increment is odd and
        // the multiplier is one more than a multiple of four.
        self.state = (self.state * 1_664_525 + 1_013_904_223) % self.blocks;
        Some(self.state * self.block)
    }
}

/// What is summed up of a piece of data: words at both ends, which differ all over the data, and the length.
pub(crate) fn digest(piece: &[u8]) -> u64 {
    let word = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let length = u64::try_from(piece.len()).expect("a length fits");
    word(piece.first_chunk()).wrapping_add(word(piece.last_chunk())).wrapping_add(length)
}
