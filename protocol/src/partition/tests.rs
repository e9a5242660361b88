use super::{
    block::{BlockHeader, values},
    layout::{ENTRY_BYTES, HEADER_BYTES},
    *,
};
use crate::{checksum::crc32c, error::FormatError};
use alloc::{collections::BTreeMap, vec, vec::Vec};
use bytes::Bytes;
use proptest::{collection, prelude::*};
use zerocopy::FromBytes;

type Row = (f32, Vec<(u32, f32)>);

const BINARY: Shape = Shape { hash_bits: 20, labels: LabelKind::Binary };

fn finite() -> impl Strategy<Value = f32> {
    any::<f32>().prop_filter("finite", |number| number.is_finite())
}

/// Values as real data have them: all 1, nearly all 1, small fractions, anything.
fn feature_values() -> impl Strategy<Value = BoxedStrategy<f32>> {
    prop_oneof![
        Just(Just(1.0).boxed()),
        Just(prop_oneof![30 => Just(1.0), 1 => finite()].boxed()),
        Just((-64i8..64).prop_map(|eighths| f32::from(eighths) / 8.0).boxed()),
        Just(finite().boxed()),
    ]
}

fn shapes() -> impl Strategy<Value = Shape> {
    (1u8..=18, any::<bool>()).prop_map(|(hash_bits, binary)| Shape {
        hash_bits,
        labels: if binary { LabelKind::Binary } else { LabelKind::Real },
    })
}

/// Rows of one length or of many, with repeated keys.
fn rows(shape: Shape) -> impl Strategy<Value = Vec<Row>> {
    let label = match shape.labels {
        LabelKind::Binary => prop_oneof![Just(0.0), Just(1.0)].boxed(),
        LabelKind::Real => finite().boxed(),
    };
    (feature_values(), prop_oneof![(0usize..12).prop_map(|n| n..n + 1), Just(0..12)]).prop_flat_map(
        move |(value, lengths)| {
            // Sums of a few values this large stay finite.
            let value = value.prop_map(|value| value.clamp(-1e37, 1e37));
            let features = collection::vec((0..1u32 << shape.hash_bits, value), lengths);
            collection::vec((label.clone(), features), 1..60)
        },
    )
}

/// What a row is once it is stored: sorted, equal keys summed.
fn stored(rows: &[Row]) -> Vec<Row> {
    let store = |(label, features): &Row| {
        let mut by_key: BTreeMap<u32, Vec<f32>> = BTreeMap::new();
        features.iter().for_each(|(key, value)| by_key.entry(*key).or_default().push(*value));
        let sum = |(key, mut values): (u32, Vec<f32>)| {
            values.sort_by_key(|value| value.to_bits());
            (key, values.into_iter().reduce(|sum, value| sum + value).unwrap())
        };
        (*label, by_key.into_iter().map(sum).collect())
    };
    rows.iter().map(store).collect()
}

fn read_rows(block: &DecodedBlock) -> Vec<Row> {
    assert_eq!(block.row_starts.len(), block.labels.len() + 1);
    assert!(block.values.is_empty() || block.values.len() == block.ids.len());
    let row = |(starts, label): (&[u32], &f32)| {
        let feature = |at: u32| {
            let at = at as usize;
            (block.keys[block.ids[at] as usize], block.values.get(at).copied().unwrap_or(1.0))
        };
        (*label, (starts[0]..starts[1]).map(feature).collect())
    };
    block.row_starts.windows(2).zip(&block.labels).map(row).collect()
}

fn build_block(shape: Shape, rows: &[Row]) -> EncodedBlock {
    let mut builder = BlockBuilder::new(shape).unwrap();
    rows.iter().for_each(|(label, features)| builder.push_row(*label, features).unwrap());
    builder.finish().unwrap()
}

fn build_file(shape: Shape, block_rows: u32, rows: &[Row]) -> EncodedPartition {
    let mut builder = PartitionBuilder::new(shape, block_rows).unwrap();
    rows.iter().for_each(|(label, features)| builder.push_row(*label, features).unwrap());
    builder.finish().unwrap()
}

fn decode(block: &EncodedBlock, shape: Shape) -> Result<DecodedBlock, FormatError> {
    let mut out = DecodedBlock::default();
    Block::verify_and_parse(&block.bytes, &block.entry, shape)?.decode_into(&mut out)?;
    Ok(out)
}

/// A block with changed bytes, under a checksum and a length that are right again.
fn forged(block: &EncodedBlock, change: impl FnOnce(&mut Vec<u8>, &mut BlockEntry)) -> EncodedBlock {
    let mut block = block.clone();
    change(&mut block.bytes, &mut block.entry);
    block.entry.crc = crc32c(&block.bytes).into();
    block.entry.length = (block.bytes.len() as u32).into();
    block
}

fn ones(keys: &[u32]) -> Vec<(u32, f32)> {
    keys.iter().map(|key| (*key, 1.0)).collect()
}

fn example() -> Vec<Row> {
    vec![
        (1.0, ones(&[9, 4, 77])),
        (0.0, vec![(4, 2.5), (1 << 19, -0.1)]),
        (0.0, vec![]),
        (1.0, ones(&[5, 78, 90, 4, 100_000])),
    ]
}

proptest! {
    #[test]
    fn partitions_round_trip(
        (shape, rows) in shapes().prop_flat_map(|shape| (Just(shape), rows(shape))), block_rows in 1u32..20,
    ) {
        let file = build_file(shape, block_rows, &rows);
        let bytes = Bytes::from(file.bytes.clone());
        let partition = Partition::parse(bytes.clone()).unwrap();
        prop_assert_eq!(partition.shape(), shape);
        prop_assert_eq!(partition.header(), &file.header);
        prop_assert_eq!(partition.entries().len(), rows.len().div_ceil(block_rows as usize));
        let info = file.info("a".into());
        prop_assert_eq!(Partition::directory_bytes(&bytes[..HEADER_BYTES]), Ok(info.directory_bytes as usize));
        prop_assert_eq!(info.bytes, bytes.len() as u64);
        prop_assert_eq!(info.rows, rows.len() as u64);
        let alone = Partition::parse(bytes.slice(..info.directory_bytes as usize)).unwrap();
        prop_assert_eq!(alone.entries(), partition.entries());

        let mut block = DecodedBlock::default();
        let mut read = Vec::new();
        for entry in partition.entries() {
            let start = entry.offset.get() as usize;
            let parsed = Block::verify_and_parse(&bytes[start..start + entry.length.get() as usize], entry, shape);
            parsed.unwrap().decode_into(&mut block).unwrap();
            let mut list = Vec::new();
            crate::keys::encode(&block.keys, &mut list).unwrap();
            prop_assert_eq!(&list, &block.key_list);
            read.extend(read_rows(&block));
        }
        let bits = |rows: &[Row]| -> Vec<Vec<(u32, u32)>> {
            rows.iter().map(|(_, features)| features.iter().map(|(key, value)| (*key, value.to_bits())).collect()).collect()
        };
        let expected = stored(&rows);
        prop_assert_eq!(bits(&read), bits(&expected)); // to the bit, -0 included
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn any_forged_block_is_rows_or_an_error(
        at in collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), counts in any::<[u8; 4]>(), real: bool,
    ) {
        let shape = Shape { labels: if real { LabelKind::Real } else { LabelKind::Binary }, ..BINARY };
        let block = forged(&build_block(shape, &example()), |bytes, entry| {
            for (at, byte) in at {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            // Mostly as they are, now and then off by a little.
            let change = |count: &mut zerocopy::little_endian::U32, by: u8| {
                *count = count.get().saturating_add_signed(i32::from(by.saturating_sub(252))).into();
            };
            change(&mut entry.rows, counts[0]);
            change(&mut entry.nonzeros, counts[1]);
            change(&mut entry.keys, counts[2]);
            change(&mut entry.positives, counts[3]);
        });
        if let Ok(out) = decode(&block, shape) {
            prop_assert_eq!(out.labels.len(), block.entry.rows.get() as usize);
            prop_assert!(out.keys.is_sorted_by(|a, b| a < b) && out.keys.iter().all(|key| key >> 20 == 0));
            for (label, features) in read_rows(&out) {
                prop_assert!(label.is_finite() && features.iter().all(|(_, value)| value.is_finite()));
                prop_assert!(features.is_sorted_by(|a, b| a.0 < b.0));
            }
        }
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let file = build_file(BINARY, 2, &example());
    let directory = file.info("a".into()).directory_bytes as usize;
    for bit in 0..directory * 8 {
        let mut bytes = file.bytes[..directory].to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Partition::parse(bytes.into()).is_err(), "bit {bit} of header and directory");
    }
    let block = build_block(BINARY, &example());
    for bit in 0..block.bytes.len() * 8 {
        let mut flipped = block.clone();
        flipped.bytes[bit / 8] ^= 1 << (bit % 8);
        let error = decode(&flipped, BINARY).unwrap_err();
        assert!(
            matches!(error, FormatError::Checksum { what: "block", .. }),
            "bit {bit} of a block: {error}"
        );
    }
}

#[test]
fn every_truncation_is_named() {
    let file = build_file(BINARY, 2, &example());
    for length in 0..file.info("a".into()).directory_bytes as usize {
        let result = Partition::parse(Bytes::copy_from_slice(&file.bytes[..length])).unwrap_err();
        assert!(
            matches!(result, FormatError::Truncated { found, .. } if found == length as u64),
            "{length}: {result}"
        );
    }
    let block = build_block(BINARY, &example());
    for length in 0..block.bytes.len() {
        let cut = EncodedBlock { bytes: block.bytes[..length].to_vec(), ..block };
        assert!(matches!(decode(&cut, BINARY), Err(FormatError::Truncated { .. })), "{length}");
        // Even where entry and checksum agree with what is left.
        let written_short = forged(&block, |bytes, _| bytes.truncate(length));
        assert!(matches!(decode(&written_short, BINARY), Err(FormatError::Truncated { .. })), "{length}");
    }
    let longer = EncodedBlock { bytes: [&block.bytes[..], &[0]].concat(), ..block };
    assert!(matches!(decode(&longer, BINARY), Err(FormatError::Corrupt(_))));
    let written_long = forged(&block, |bytes, _| bytes.push(0));
    assert!(matches!(decode(&written_long, BINARY), Err(FormatError::Corrupt(_))));
}

/// Header and directory of the example, changed, under a checksum that is right again.
fn forged_directory(change: impl FnOnce(&mut [u8])) -> Result<Partition, FormatError> {
    let file = build_file(BINARY, 2, &example());
    let mut bytes = file.bytes[..file.info("a".into()).directory_bytes as usize - 4].to_vec();
    change(&mut bytes);
    bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
    Partition::parse(bytes.into())
}

#[test]
fn headers_that_do_not_add_up_are_refused() {
    assert!(forged_directory(|_| ()).is_ok());
    let magic = forged_directory(|bytes| bytes[..8].copy_from_slice(b"CIRRUS-M")).unwrap_err();
    assert_eq!(magic, FormatError::BadMagic { what: "partition file", found: *b"CIRRUS-M" });
    let version = forged_directory(|bytes| bytes[8] = 9).unwrap_err();
    assert_eq!(version, FormatError::Version { what: "partition file", found: 9, supported: 1 });
    let blocks = forged_directory(|bytes| bytes[12..16].fill(255)).unwrap_err();
    assert!(matches!(blocks, FormatError::Limit { found: 0xFFFF_FFFF, .. }), "{blocks}");
    let more_blocks = forged_directory(|bytes| bytes[12] += 1).unwrap_err();
    assert!(matches!(more_blocks, FormatError::Truncated { .. }), "{more_blocks}");
    let hash_bits = forged_directory(|bytes| bytes[10] = MAX_HASH_BITS + 1).unwrap_err();
    assert!(matches!(hash_bits, FormatError::Limit { .. }), "{hash_bits}");
    // No hash bits; labels; rows, nonzeros, positives, bytes; reserved; offset, length, rows, ... of the second entry.
    let entry = HEADER_BYTES + ENTRY_BYTES;
    for at in [10, 11, 16, 24, 32, 40, 63, entry, entry + 8, entry + 12, entry + 16, entry + 24] {
        let result = forged_directory(|bytes| bytes[at] = if at == 10 { 0 } else { bytes[at] ^ 2 });
        assert!(
            matches!(result, Err(FormatError::Corrupt(_) | FormatError::Limit { .. })),
            "{at}: {result:?}"
        );
    }
}

#[test]
fn counts_above_the_limits_are_refused_before_anything_is_allocated() {
    let block = build_block(BINARY, &example());
    let with = |change: fn(&mut BlockEntry)| decode(&forged(&block, |_, entry| change(entry)), BINARY);
    let limits = [
        with(|entry| entry.rows = (MAX_BLOCK_ROWS + 1).into()),
        with(|entry| entry.nonzeros = (MAX_BLOCK_NONZEROS + 1).into()),
        with(|entry| entry.nonzeros = u32::MAX.into()),
        with(|entry| entry.keys = (entry.nonzeros.get() + 1).into()),
        with(|entry| entry.positives = (entry.rows.get() + 1).into()),
    ];
    for (index, result) in limits.iter().enumerate() {
        assert!(matches!(result, Err(FormatError::Limit { .. })), "{index}: {result:?}");
    }
    assert!(matches!(
        with(|entry| entry.rows = 0.into()),
        Err(FormatError::Corrupt(_) | FormatError::Limit { .. })
    ));
    assert!(matches!(with(|entry| entry.keys = 3.into()), Err(FormatError::Corrupt(_))));
    assert!(matches!(with(|entry| entry.positives = 1.into()), Err(FormatError::Corrupt(_))));
    assert!(matches!(
        with(|entry| entry.nonzeros = 9.into()),
        Err(FormatError::Corrupt(_) | FormatError::Limit { .. })
    ));
    let narrow = Shape { hash_bits: 19, ..BINARY };
    assert!(matches!(decode(&block, narrow), Err(FormatError::Limit { what: "a key", .. })));
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    for (kind, row) in [(values::F32, vec![(1, 0.1)]), (values::F16, vec![(1, 0.5)])] {
        let block = build_block(BINARY, &[(1.0, row)]);
        assert_eq!(BlockHeader::read_from_prefix(&block.bytes).unwrap().0.values, kind);
        // The high bytes of a NaN in either precision.
        let bad = forged(&block, |bytes, _| *bytes.last_chunk_mut().unwrap() = [0xFF, 0x7F]);
        let result = decode(&bad, BINARY);
        assert!(matches!(result, Err(FormatError::Corrupt(_))), "{kind}: {result:?}");
    }
    let real = Shape { labels: LabelKind::Real, ..BINARY };
    let block = build_block(real, &[(1.5, vec![])]);
    let at = block.bytes.windows(4).position(|four| four == 1.5f32.to_le_bytes()).unwrap();
    let bad = forged(&block, |bytes, _| bytes[at..at + 4].copy_from_slice(&f32::INFINITY.to_le_bytes()));
    assert!(matches!(decode(&bad, real), Err(FormatError::Corrupt(_))));
}

#[test]
fn the_smallest_form_of_values_is_chosen() {
    let kind = |value: fn(u32) -> f32| {
        let features: Vec<_> = (0..100).map(|key| (key, value(key))).collect();
        let block = build_block(BINARY, &[(1.0, features)]);
        BlockHeader::read_from_prefix(&block.bytes).unwrap().0.values
    };
    assert_eq!(kind(|_| 1.0), values::ONES);
    assert_eq!(kind(|key| if key == 50 { 0.1 } else { 1.0 }), values::EXCEPTIONS);
    assert_eq!(kind(|key| key as f32), values::F16);
    assert_eq!(kind(|key| key as f32 / 3.0), values::F32);
}

#[test]
fn buffers_are_used_again() {
    let large: Vec<Row> =
        (0..100u32).map(|row| (1.0, (0..20).map(|key| (key * 7 + row, 0.3)).collect())).collect();
    let large = build_block(BINARY, &large);
    let small = build_block(BINARY, &example());
    let plain = build_block(BINARY, &[(0.0, ones(&[1, 2]))]);
    let mut out = DecodedBlock::default();
    let mut grown = None;
    for round in 0..3 {
        for block in [&large, &small, &plain] {
            let parsed = Block::verify_and_parse(&block.bytes, &block.entry, BINARY).unwrap();
            parsed.decode_into(&mut out).unwrap();
            let fresh = decode(block, BINARY).unwrap();
            assert_eq!(read_rows(&out), read_rows(&fresh));
            assert_eq!(out.key_list, fresh.key_list);
            let now = (out.keys.as_ptr(), out.row_starts.as_ptr(), out.ids.as_ptr(), out.values.as_ptr());
            let now = (now, out.labels.as_ptr(), out.key_list.as_ptr());
            if round > 0 {
                assert_eq!(*grown.get_or_insert(now), now);
            }
        }
    }
}

#[test]
fn a_refused_row_leaves_no_trace() {
    let mut builder = BlockBuilder::new(BINARY).unwrap();
    builder.push_row(1.0, &ones(&[1, 2])).unwrap();
    let refused: [(f32, &[(u32, f32)]); 8] = [
        (2.0, &[]),
        (f32::NAN, &[]),
        (-1.0, &[]),
        (1.0, &[(3, 1.0), (1 << 20, 1.0)]),
        (1.0, &[(3, f32::NAN)]),
        (1.0, &[(3, f32::INFINITY)]),
        (1.0, &[(2, 1.0), (3, 3e38), (3, 3e38)]),
        (1.0, &[(3, f32::INFINITY), (3, f32::NEG_INFINITY)]),
    ];
    for (index, (label, features)) in refused.into_iter().enumerate() {
        assert!(builder.push_row(label, features).is_err(), "{index}");
        assert_eq!((builder.rows(), builder.nonzeros()), (1, 2), "{index}");
    }
    builder.push_row(0.0, &ones(&[5])).unwrap();
    assert_eq!(builder.finish().unwrap(), build_block(BINARY, &[(1.0, ones(&[1, 2])), (0.0, ones(&[5]))]));
    assert_eq!(builder.finish(), None, "the next block starts empty");
}

#[test]
fn builders_keep_the_limits_of_readers() {
    for hash_bits in [0, MAX_HASH_BITS + 1, 255] {
        assert!(BlockBuilder::new(Shape { hash_bits, ..BINARY }).is_err());
    }
    assert!(PartitionBuilder::new(BINARY, 0).is_err());
    assert!(PartitionBuilder::new(BINARY, MAX_BLOCK_ROWS + 1).is_err());
    let mut builder = BlockBuilder::new(Shape { hash_bits: 1, ..BINARY }).unwrap();
    for _ in 0..MAX_BLOCK_ROWS {
        builder.push_row(1.0, &[]).unwrap();
    }
    assert!(matches!(builder.push_row(1.0, &[]), Err(FormatError::Limit { .. })));
    let block = builder.finish().unwrap();
    assert_eq!(
        decode(&block, Shape { hash_bits: 1, ..BINARY }).unwrap().labels.len(),
        MAX_BLOCK_ROWS as usize
    );
}

#[test]
fn the_longest_rows_fit() {
    let longest: Vec<_> = (0..MAX_ROW_NONZEROS).map(|key| (key, 1.0)).collect();
    let mut builder = PartitionBuilder::new(Shape { hash_bits: 21, ..BINARY }, 100).unwrap();
    for features in [&longest[1..], &longest, &longest[..5]] {
        builder.push_row(1.0, features).unwrap();
    }
    let too_long: Vec<_> = (0..=MAX_ROW_NONZEROS).map(|key| (key, 1.0)).collect();
    assert!(matches!(builder.push_row(1.0, &too_long), Err(FormatError::Limit { .. })));
    let file = builder.finish().unwrap();
    let partition = Partition::parse(file.bytes.into()).unwrap();
    let nonzeros: Vec<_> = partition.entries().iter().map(|entry| entry.nonzeros.get()).collect();
    assert_eq!(nonzeros, [2 * MAX_ROW_NONZEROS - 1, 5]);
}

#[test]
fn a_builder_starts_again_after_each_file() {
    let mut builder = PartitionBuilder::new(BINARY, 2).unwrap();
    assert_eq!(builder.finish(), None);
    let mut files = Vec::new();
    for _ in 0..2 {
        example().iter().for_each(|(label, features)| builder.push_row(*label, features).unwrap());
        assert!(builder.bytes() > 0);
        files.push(builder.finish().unwrap());
        assert_eq!(builder.bytes(), 0);
    }
    assert_eq!(files[0], files[1]);
}

#[test]
fn blocks_built_elsewhere_make_the_same_file() {
    let rows = example();
    let mut builder = PartitionBuilder::new(BINARY, 100).unwrap();
    builder.push_row(rows[0].0, &rows[0].1).unwrap();
    builder.push_block(build_block(BINARY, &rows[1..3])).unwrap();
    let other = build_block(Shape { labels: LabelKind::Real, ..BINARY }, &rows);
    assert!(matches!(builder.push_block(other), Err(FormatError::Unwritable(_))));
    builder.push_row(rows[3].0, &rows[3].1).unwrap();
    let file = builder.finish().unwrap();
    for (block, rows) in [&rows[..1], &rows[1..3], &rows[3..]].into_iter().enumerate() {
        builder.push_block(build_block(BINARY, rows)).unwrap();
        assert_eq!(
            Partition::parse(file.bytes.clone().into()).unwrap().entries()[block].rows,
            rows.len() as u32
        );
    }
    assert_eq!(builder.finish().unwrap(), file);
}

#[test]
fn uniform_keys_stay_close_to_the_bound() {
    let mut state = 0u64; // SplitMix64 (Steele et al., 2014)
    let mut row = || {
        let mut keys = BTreeMap::new();
        while keys.len() < 39 {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            keys.insert((mixed >> 44) as u32, 1.0);
        }
        (1.0, keys.into_iter().collect())
    };
    let rows: Vec<Row> = (0..BLOCK_ROWS).map(|_| row()).collect();
    let block = build_block(BINARY, &rows);
    let bound = entropy_bound(rows.iter().map(|(_, features)| features.len() as u32), 20) / 8.0;
    let ratio = block.bytes.len() as f64 / bound;
    assert!((1.0..1.15).contains(&ratio), "{ratio}");
}

#[test]
fn the_bound_is_the_logarithm_of_the_number_of_sets() {
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    close(entropy_bound([0, 4], 2), 0.0); // one empty set, one full set of four keys
    close(entropy_bound([2, 2, 1], 2), 2.0 * f64::log2(6.0) + 2.0);
    close(entropy_bound([3], 10), f64::log2(1024.0 * 1023.0 * 1022.0 / 6.0));
}
