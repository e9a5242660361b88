//! A hash that is the same in every run and on every machine.

use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Multiplies and folds, eight bytes at a time.
#[derive(Clone, Copy, Debug)]
pub struct Digest(u64);

/// For maps whose keys are digests already, and whose order nobody sees.
pub type BuildDigest = BuildHasherDefault<Digest>;

const START: u64 = 0x243f_6a88_85a3_08d3;
const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

impl Default for Digest {
    fn default() -> Self {
        Self(START)
    }
}

impl Digest {
    fn word(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word).wrapping_mul(FACTOR);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves are folded into one")]
        let folded = (product as u64) ^ ((product >> 64) as u64);
        self.0 = folded.rotate_left(23) ^ START;
    }
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.word(u64::from_le_bytes(word));
        }
        self.word(bytes.len() as u64);
    }

    fn write_u8(&mut self, value: u8) {
        self.word(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.word(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.word(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.word(value as u64);
    }
}

/// The digest of a value.
#[must_use]
pub fn of(value: &impl Hash) -> u64 {
    let mut digest = Digest::default();
    value.hash(&mut digest);
    digest.finish()
}
