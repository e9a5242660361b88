//! The encoders of file formats against bytes that were made from `FORMAT.md` by something else.

use bytes::Bytes;
use cirrus_protocol::keys::{self, KeyLimit};
use cirrus_protocol::manifest::Schema;
use cirrus_protocol::model::{Model, ModelMetadata, TrainingInfo};
use cirrus_protocol::packed;
use cirrus_protocol::partition::{Block, DecodedBlock, LabelKind, Partition, PartitionBuilder, Shape};

type Row = (f32, Vec<(u32, f32)>);

fn golden(name: &str) -> Vec<u8> {
    let lines = include_str!("../testdata/files.txt").lines();
    let hex = lines.filter_map(|line| line.split_once(" = ")).find(|(key, _)| *key == name).unwrap().1;
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn packed_arrays() {
    let mut exceptions = vec![1, 0, 3, 2, 1, 1, 2, 3, 70000, 1, 2, 0, 1, 3, 2, 1, 0, 0, 3, 1];
    exceptions.extend([2, 3, 1, 2, 1, 0, 3, 2, 1, 1, 0, 9, 1, 2, 3, 1, 0, 2, 2, 1]);
    let arrays = [
        ("packed/empty", vec![]),
        ("packed/one width", vec![1, 2, 3, 4, 5, 6, 7, 0, 7]),
        ("packed/exceptions", exceptions),
        ("packed/32 bits", vec![0xFFFF_FFFF, 0x8000_0000, 0xDEAD_BEEF]),
    ];
    for (name, values) in arrays {
        let (mut bytes, mut decoded) = (Vec::new(), Vec::new());
        packed::encode(&values, &mut bytes);
        assert_eq!(bytes, golden(name), "{name}");
        assert_eq!(packed::decode(&bytes, values.len(), &mut decoded), Ok(bytes.len()), "{name}");
        assert_eq!(decoded, values, "{name}");
    }
}

#[test]
fn key_lists() {
    let lists: [(&str, &[u32]); 3] = [
        ("keys/empty", &[]),
        ("keys/consecutive", &[0, 1, 2, 3, 4]),
        ("keys/spread", &[7, 8, 100, 101, 4_000_000_000, u32::MAX]),
    ];
    for (name, keys) in lists {
        let (mut bytes, mut decoded) = (Vec::new(), Vec::new());
        keys::encode(keys, &mut bytes).unwrap();
        assert_eq!(bytes, golden(name), "{name}");
        let limit = KeyLimit { count: 6, key_max: u32::MAX };
        assert_eq!(keys::decode(&bytes, limit, &mut decoded), Ok(bytes.len()), "{name}");
        assert_eq!(decoded, keys, "{name}");
    }
}

fn ones(keys: &[u32]) -> Vec<(u32, f32)> {
    keys.iter().map(|key| (*key, 1.0)).collect()
}

/// Writes `rows` in blocks of `block_rows`, compares with the golden file, and reads that.
fn check_partition(name: &str, shape: Shape, block_rows: u32, rows: &[Row]) {
    let mut builder = PartitionBuilder::new(shape, block_rows).unwrap();
    for (label, features) in rows {
        builder.push_row(*label, features).unwrap();
    }
    assert_eq!(builder.finish().unwrap().bytes, golden(name), "{name}");

    let file = Bytes::from(golden(name));
    let partition = Partition::parse(file.clone()).unwrap();
    assert_eq!(partition.shape(), shape);
    let mut block = DecodedBlock::default();
    let mut read: Vec<Row> = Vec::new();
    for entry in partition.entries() {
        let start = entry.offset.get() as usize;
        let bytes = &file[start..start + entry.length.get() as usize];
        Block::verify_and_parse(bytes, entry, shape).unwrap().decode_into(&mut block).unwrap();
        for (row, label) in block.labels.iter().enumerate() {
            let nonzeros = block.row_starts[row] as usize..block.row_starts[row + 1] as usize;
            let feature = |at: usize| {
                (block.keys[block.ids[at] as usize], block.values.get(at).copied().unwrap_or(1.0))
            };
            read.push((*label, nonzeros.map(feature).collect()));
        }
    }
    assert_eq!(read, rows, "{name}");
}

#[test]
fn partitions() {
    let binary = [
        (1.0, ones(&[3, 10])),
        (0.0, ones(&[3, 200])),
        (1.0, ones(&[10, 11])),
        (0.0, vec![(0, 0.5), (7, -2.0), (255, 1.0)]),
        (0.0, ones(&[7])),
    ];
    check_partition("partition/binary", Shape { hash_bits: 8, labels: LabelKind::Binary }, 3, &binary);
    let long: Vec<u32> = (5..29).step_by(2).collect();
    let mut one_other = ones(&long);
    one_other[2].1 = 0.1;
    let real = [
        (-1.5, one_other),
        (0.25, ones(&long)),
        (0.0, vec![]),
        (2.0, vec![(1, 0.1), (65535, 3e38)]),
        (-0.0, vec![(1, 1e-45), (40000, -7.25)]),
    ];
    check_partition("partition/real", Shape { hash_bits: 16, labels: LabelKind::Real }, 3, &real);
}

#[test]
fn models() {
    let metadata = ModelMetadata {
        model: "logistic_regression".into(),
        schema: Schema::Libsvm,
        optimizer: "adagrad".into(),
        parameters: [("rate".into(), 0.1), ("l2".into(), 0.001)].into(),
        training: TrainingInfo { passes: 3, rows: 3000, workers: 4, seed: 7, loss: 0.4321 },
    };
    let model = Model {
        hash_bits: 10,
        metadata,
        keys: vec![0, 1, 2, 3, 1023, 1024],
        weights: vec![0.5, -0.25, 1e-30, 3.0, 7.0, -1.0],
    };
    assert_eq!(model.encode().unwrap(), golden("model/libsvm"));
    assert_eq!(Model::decode(&golden("model/libsvm")), Ok(model));
}
