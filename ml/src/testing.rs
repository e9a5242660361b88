//! Blocks and datasets for the tests of this crate, through the real formats.

use cirrus_protocol::partition::{Block, BlockBuilder, DecodedBlock, LabelKind, Shape};
use proptest::prelude::*;

/// A row: its label and its features.
pub(crate) type Row = (f32, Vec<(u32, f32)>);

/// Encodes and decodes `rows` as one block.
pub(crate) fn block(hash_bits: u8, rows: &[Row]) -> DecodedBlock {
    let labels = if rows.iter().all(|(label, _)| *label == 0.0 || *label == 1.0) {
        LabelKind::Binary
    } else {
        LabelKind::Real
    };
    let shape = Shape { hash_bits, labels };
    let mut builder = BlockBuilder::new(shape).unwrap();
    for (label, features) in rows {
        builder.push_row(*label, features).unwrap();
    }
    let encoded = builder.finish().unwrap();
    let mut decoded = DecodedBlock::default();
    let parsed = Block::verify_and_parse(&encoded.bytes, &encoded.entry, shape).unwrap();
    parsed.decode_into(&mut decoded).unwrap();
    decoded
}

/// Pseudo-random numbers for test data.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (((self.0 >> 32) * u64::from(bound)) >> 32) as u32
    }

    pub(crate) fn unit(&mut self) -> f32 {
        self.below(1 << 24) as f32 / (1 << 24) as f32
    }
}

/// Rows of five categories each, whose labels follow a logistic model with planted weights between -1.5 and 1.5.
/// Knowing that model one would reach a log loss of about 0.53.
pub(crate) fn planted_rows(seed: u64, rows: usize) -> Vec<Row> {
    let mut random = Random(seed);
    let weight = |key: u32| Random(u64::from(key) + 99).unit() * 3.0 - 1.5;
    let row = |random: &mut Random| {
        let features: Vec<_> = (0..5).map(|field| (field * 12 + random.below(12), 1.0)).collect();
        let margin: f32 = features.iter().map(|(key, _)| weight(*key)).sum();
        let label = f32::from(u8::from(random.unit() < 1.0 / (1.0 + (-margin).exp())));
        (label, features)
    };
    (0..rows).map(|_| row(&mut random)).collect()
}

/// A few rows of any length with keys below 2^6 and moderate values.
pub(crate) fn rows(ones: bool) -> impl Strategy<Value = Vec<Row>> {
    let value = if ones { (1.0_f32..=1.0).boxed() } else { (-3.0_f32..3.0).boxed() };
    let features = proptest::collection::btree_map(0_u32..64, value, 0..30);
    let label = prop_oneof![Just(0.0_f32), Just(1.0)];
    proptest::collection::vec((label, features.prop_map(|map| map.into_iter().collect())), 1..12)
}
