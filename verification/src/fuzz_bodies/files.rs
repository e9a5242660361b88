//! Files and what they are made of.

use bytes::Bytes;
use cirrus_protocol::keys::{self as key_lists, KeyLimit};
use cirrus_protocol::manifest::Manifest;
use cirrus_protocol::model::Model;
use cirrus_protocol::packed as arrays;
use cirrus_protocol::partition::{Block, DecodedBlock, Partition};
use cirrus_protocol::snapshot::Snapshot;

const LIMIT: KeyLimit = KeyLimit { count: 4096, key_max: 1 << 20 };

pub(super) fn keys(bytes: &[u8]) {
    let mut keys = Vec::new();
    if key_lists::decode_sequence(bytes, LIMIT, &mut keys).is_ok() {
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]) && keys.len() <= LIMIT.count as usize);
        let mut again = Vec::new();
        key_lists::encode(&keys, &mut again).expect("decoded keys are sorted");
        let mut same = Vec::new();
        assert_eq!(key_lists::decode(&again, LIMIT, &mut same), Ok(again.len()));
        assert_eq!(same, keys);
    }
}

/// The first byte is the number of values.
pub(super) fn packed(bytes: &[u8]) {
    let Some((count, bytes)) = bytes.split_first() else { return };
    let mut values = Vec::new();
    if arrays::decode(bytes, usize::from(*count), &mut values).is_ok() {
        let mut again = Vec::new();
        arrays::encode(&values, &mut again);
        let mut same = Vec::new();
        assert_eq!(arrays::decode(&again, values.len(), &mut same), Ok(again.len()));
        assert_eq!(same, values);
    }
}

pub(super) fn partition(bytes: &[u8]) {
    let Ok(partition) = Partition::parse(Bytes::copy_from_slice(bytes)) else { return };
    let mut decoded = DecodedBlock::default();
    for entry in partition.entries() {
        let start = usize::try_from(entry.offset.get()).unwrap_or(usize::MAX);
        let end = start.saturating_add(entry.length.get() as usize);
        let Some(block) = bytes.get(start..end) else { continue };
        let Ok(block) = Block::verify_and_parse(block, entry, partition.shape()) else { continue };
        if block.decode_into(&mut decoded).is_ok() {
            assert_eq!(decoded.labels.len(), entry.rows.get() as usize);
            assert!(decoded.ids.iter().all(|id| (*id as usize) < decoded.keys.len()));
            assert!(decoded.values.iter().all(|value| value.is_finite()));
        }
    }
}

pub(super) fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::decode(bytes) {
        let again = manifest.encode().expect("a manifest that was read can be written");
        assert_eq!(Manifest::decode(&again), Ok(manifest));
    }
}

pub(super) fn model(bytes: &[u8]) {
    if let Ok(model) = Model::decode(bytes) {
        let again = model.encode().expect("a model that was read can be written");
        assert_eq!(Model::decode(&again), Ok(model));
    }
}

pub(super) fn snapshot(bytes: &[u8]) {
    if let Ok(snapshot) = Snapshot::parse(Bytes::copy_from_slice(bytes), 1000) {
        assert!(snapshot.marker.names.len() <= 1000);
    }
}
