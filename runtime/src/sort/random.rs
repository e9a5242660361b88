//! Numbers that look random and follow from other numbers: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).

/// What a step adds to the state.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A number that has nothing in common with its neighbours'.
#[inline]
pub(super) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(STEP);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A sequence of such numbers.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The sequence of this seed and number.
    #[inline]
    pub(super) fn new(seed: u64, number: u64) -> Self {
        Self(mix(mix(seed) ^ number))
    }

    /// The next one.
    #[inline]
    pub(super) fn draw(&mut self) -> u64 {
        let drawn = mix(self.0);
        self.0 = self.0.wrapping_add(STEP);
        drawn
    }
}
