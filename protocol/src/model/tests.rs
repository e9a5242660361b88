use super::*;
use alloc::vec;
use proptest::{collection, prelude::*};

fn example() -> Model {
    let training = TrainingInfo { passes: 2, rows: 200, workers: 0, seed: u64::MAX, loss: 0.25 };
    let metadata = ModelMetadata {
        model: "logistic_regression".into(),
        schema: Schema::Libsvm,
        optimizer: "sgd".into(),
        parameters: [("rate".into(), 0.5)].into(),
        training,
    };
    Model { hash_bits: 4, metadata, keys: vec![0, 3, 16], weights: vec![1.5, -2.0, 1e-40] }
}

/// The example's bytes, changed, under a checksum that is right again.
fn forged(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = example().encode().unwrap();
    bytes.truncate(bytes.len() - 4);
    change(&mut bytes);
    bytes.extend_from_slice(&checksum::crc32c(&bytes).to_le_bytes());
    bytes
}

prop_compose! {
    fn models()(
        hash_bits in 1u8..=30,
        cells in collection::btree_map(any::<u32>(), any::<f32>(), 0..100),
        texts in any::<[u8; 3]>(),
        parameters in collection::btree_map(".*", any::<f64>(), 0..5),
        (passes, rows, workers, seed, loss) in any::<(u32, u64, u32, u64, f64)>(),
    ) -> Model {
        let top = 1 << hash_bits;
        let cells: BTreeMap<u32, f32> = cells.into_iter()
            .map(|(key, weight)| (if key >> 31 == 1 { top } else { key & (top - 1) }, weight))
            .filter(|(_, weight)| weight.is_finite() && *weight != 0.0)
            .collect();
        let [model, optimizer, label] = texts.map(|n| n.to_string());
        let schema = crate::manifest::CsvSchema {
            label, categorical: vec![], numeric: vec![], pairs: vec![], delimiter: '\t', header: false,
        };
        Model {
            hash_bits,
            metadata: ModelMetadata {
                model, optimizer, schema: Schema::Csv(schema),
                parameters: parameters.into_iter().filter(|(_, number)| number.is_finite()).collect(),
                training: TrainingInfo {
                    passes, rows, workers, seed, loss: if loss.is_finite() { loss } else { 0.0 },
                },
            },
            keys: cells.keys().copied().collect(),
            weights: cells.values().copied().collect(),
        }
    }
}

proptest! {
    #[test]
    fn round_trip(model in models()) {
        prop_assert_eq!(Model::decode(&model.encode().unwrap()), Ok(model));
    }

    #[test]
    fn any_change_is_a_model_or_an_error(at in any::<prop::sample::Index>(), byte: u8) {
        let bytes = forged(|bytes| { let at = at.index(bytes.len()); bytes[at] = byte; });
        if let Ok(model) = Model::decode(&bytes) {
            prop_assert_eq!(model.check(), Ok(()));
            prop_assert!(model.keys.is_sorted_by(|a, b| a < b));
        }
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let good = example().encode().unwrap();
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Model::decode(&bytes).is_err(), "bit {bit}");
    }
}

#[test]
fn every_truncation_is_named() {
    let good = example().encode().unwrap();
    for length in 0..good.len() {
        let result = Model::decode(&good[..length]);
        assert!(matches!(result, Err(FormatError::Truncated { .. })), "{length}: {result:?}");
    }
    let result = Model::decode(&[&good[..], &[0]].concat());
    assert_eq!(result, Err(FormatError::Corrupt("bytes behind the end of a model file")));
}

#[test]
fn other_formats_and_versions_are_named() {
    let other = forged(|bytes| bytes[..8].copy_from_slice(b"CIRRUS-P"));
    assert_eq!(Model::decode(&other), Err(FormatError::BadMagic { what: WHAT, found: *b"CIRRUS-P" }));
    let future = forged(|bytes| bytes[8] = 2);
    assert_eq!(Model::decode(&future), Err(FormatError::Version { what: WHAT, found: 2, supported: 1 }));
}

#[test]
fn a_vast_count_is_refused_before_it_is_allocated() {
    let vast = forged(|bytes| bytes[20..24].copy_from_slice(&u32::MAX.to_le_bytes()));
    let result = Model::decode(&vast);
    assert!(
        matches!(result, Err(FormatError::Truncated { needed, .. }) if needed == 4 * 0xFFFF_FFFF),
        "{result:?}"
    );
}

#[test]
fn what_makes_no_model_is_neither_written_nor_read() {
    let breaks: [fn(&mut Model); 10] = [
        |m| m.hash_bits = 0,
        |m| m.hash_bits = 31,
        |m| m.hash_bits = 3, // the bias is then no longer key 2^b
        |m| m.weights[0] = 0.0,
        |m| m.weights[1] = f32::NAN,
        |m| m.weights[2] = f32::INFINITY,
        |m| m.weights.truncate(2),
        |m| m.keys.swap(0, 1),
        |m| m.metadata.training.loss = f64::NAN,
        |m| _ = m.metadata.parameters.insert("l1".into(), f64::INFINITY),
    ];
    for (index, change) in breaks.iter().enumerate() {
        let mut model = example();
        change(&mut model);
        assert!(matches!(model.encode(), Err(FormatError::Unwritable(_))), "{index}");
    }
    let end = example().encode().unwrap().len() - 4;
    let bad_files = [
        forged(|bytes| bytes[10] = 31),
        forged(|bytes| bytes[10] = 3),
        forged(|bytes| bytes[11] = 1),
        forged(|bytes| bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes())),
        forged(|bytes| bytes[end - 4..].copy_from_slice(&[0; 4])),
    ];
    for (index, bytes) in bad_files.iter().enumerate() {
        assert!(matches!(Model::decode(bytes), Err(FormatError::Corrupt(_))), "{index}");
    }
    let unknown = forged(|bytes| {
        let at = bytes.windows(5).position(|five| five == b"model").unwrap();
        bytes[at] = b'M';
    });
    assert!(matches!(Model::decode(&unknown), Err(FormatError::Json { .. })));
}
