//! `cirrus inspect`: what is inside a dataset, a partition or a model.

use bytes::Bytes;
use cirrus_ml::reading::Reading;
use cirrus_protocol::manifest::{MANIFEST_NAME, Part};
use cirrus_protocol::model::Model;
use cirrus_protocol::partition::{Block, DecodedBlock, Partition, entropy_bound};
use cirrus_runtime::dataset::{Dataset, Side};
use cirrus_runtime::object;
use clap::Args;
use serde_json::{Value, json};

use super::{grouped, is_dataset, open_dataset, print_json, print_text, reading};
use crate::Output;
use crate::failure::{Failure, with};
use crate::place;

/// Shows what is inside a dataset's folder, one of its partitions, or a model.
///
/// Every byte of it is checked on the way. For datasets and partitions the size is given as bytes a nonzero, beside
/// the bound of uniformly hashed indices: no code can do better if each row's features are a random set. Real
/// features repeat, so a dataset is usually below the bound.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    cirrus inspect clicks.cirrus\n  \
    cirrus inspect clicks.cirrus/train-00000\n  \
    cirrus inspect clicks.model --json\n  \
    cirrus inspect s3://bucket/clicks")]
pub(crate) struct Arguments {
    /// A dataset, partition or model: a path or URL.
    path: String,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let path = arguments.path.as_str();
    let reading = reading()?;
    let found = if path.rsplit('/').next() == Some(MANIFEST_NAME) {
        of_dataset(place::folder_of(path), &reading)?
    } else if is_dataset(path, &reading.io)? {
        of_dataset(path, &reading)?
    } else {
        of_file(path, &reading)?
    };
    if output.json { print_json(&found) } else { print_text(&as_text(&found, 0)) }
}

fn of_dataset(folder: &str, reading: &Reading) -> Result<Value, Failure> {
    let dataset = open_dataset(folder, &reading.io)?;
    let manifest = dataset.manifest();
    let sides = [(Side::Train, &manifest.train), (Side::Test, &manifest.test)];
    let [train, test] = sides.map(|(side, part)| of_part(&dataset, side, part, reading));
    Ok(json!({
        "kind": "dataset",
        "format_version": manifest.format_version,
        "hash_bits": manifest.hash_bits,
        "source": manifest.source,
        "test_source": manifest.test_source,
        "schema": manifest.schema,
        "train": train?,
        "test": test?,
        "columns": manifest.columns,
    }))
}

fn of_part(dataset: &Dataset, side: Side, part: &Part, reading: &Reading) -> Result<Value, Failure> {
    let blocks = dataset.part(side);
    let mut bound = Bound::new(dataset.manifest().hash_bits);
    for block in reading.blocks(&blocks, blocks.blocks().collect::<Vec<_>>()) {
        bound.add(&*block?);
    }
    let bytes: u64 = part.partitions.iter().map(|partition| partition.bytes).sum();
    Ok(with_sizes(
        json!({
            "rows": part.rows,
            "positives": part.positives,
            "nonzeros": part.nonzeros,
            "partitions": part.partitions.len(),
            "blocks": part.partitions.iter().map(|partition| u64::from(partition.blocks)).sum::<u64>(),
            "bytes": bytes,
        }),
        bytes,
        part.nonzeros,
        &bound,
    ))
}

fn of_file(path: &str, reading: &Reading) -> Result<Value, Failure> {
    let bytes = match place::local(path)? {
        // Whatever can be read, under any name.
        Some(file) => Bytes::from(std::fs::read(&file).map_err(with(path))?),
        None => {
            let (store, key) = object::open_object(path)?;
            reading.io.block_on(store.get(&key))?
        }
    };
    let model = Model::decode(&bytes);
    let partition = Partition::parse(bytes.clone());
    let named = |error: &dyn std::fmt::Display| Failure::Failed(format!("{path}: {error}"));
    match (model, partition) {
        (Ok(model), _) => Ok(of_model(&model, bytes.len())),
        (_, Ok(partition)) => of_partition(&partition, &bytes).map_err(|error| named(&error)),
        (Err(model), Err(partition)) => {
            // The one whose magic is there says what is wrong with it.
            let is_model = !matches!(model, cirrus_protocol::error::FormatError::BadMagic { .. });
            let is_partition = !matches!(partition, cirrus_protocol::error::FormatError::BadMagic { .. });
            Err(match (is_model, is_partition) {
                (true, false) => named(&model),
                (false, true) => named(&partition),
                _ => named(&"is neither a partition nor a model; a dataset is a folder with a manifest.json"),
            })
        }
    }
}

fn of_partition(partition: &Partition, bytes: &Bytes) -> Result<Value, cirrus_protocol::error::FormatError> {
    let (header, shape) = (partition.header(), partition.shape());
    let mut bound = Bound::new(shape.hash_bits);
    let mut decoded = DecodedBlock::default();
    for entry in partition.entries() {
        let start = usize::try_from(entry.offset.get()).unwrap_or(usize::MAX);
        let end = start.saturating_add(entry.length.get() as usize);
        let block = bytes.get(start..end).unwrap_or_default();
        Block::verify_and_parse(block, entry, shape)?.decode_into(&mut decoded)?;
        bound.add(&decoded);
    }
    let found = json!({
        "kind": "partition",
        "format_version": header.version.get(),
        "hash_bits": shape.hash_bits,
        "rows": header.rows.get(),
        "positives": header.positives.get(),
        "nonzeros": header.nonzeros.get(),
        "blocks": partition.entries().len(),
        "bytes": bytes.len(),
    });
    Ok(with_sizes(found, bytes.len() as u64, header.nonzeros.get(), &bound))
}

fn of_model(model: &Model, bytes: usize) -> Value {
    json!({
        "kind": "model",
        "model": model.metadata.model,
        "hash_bits": model.hash_bits,
        "weights": model.keys.len(),
        "bytes": bytes,
        "optimizer": model.metadata.optimizer,
        "parameters": model.metadata.parameters,
        "training": model.metadata.training,
        "schema": model.metadata.schema,
    })
}

fn with_sizes(mut found: Value, bytes: u64, nonzeros: u64, bound: &Bound) -> Value {
    if nonzeros > 0 {
        found["bytes_per_nonzero"] = json!(bytes as f64 / nonzeros as f64);
        found["bound_bytes_per_nonzero"] = json!(bound.bits / 8.0 / nonzeros as f64);
        found["keys_per_block"] = json!(bound.keys as f64 / bound.blocks as f64);
    }
    found
}

/// What blocks hold, beside the information in rows whose features are uniformly random sets.
struct Bound {
    hash_bits: u8,
    bits: f64,
    keys: u64,
    blocks: u64,
}

impl Bound {
    fn new(hash_bits: u8) -> Self {
        Self { hash_bits, bits: 0.0, keys: 0, blocks: 0 }
    }

    fn add(&mut self, block: &DecodedBlock) {
        self.keys += block.keys.len() as u64;
        self.blocks += 1;
        let lengths = block.row_starts.windows(2).map(|row| row[1] - row[0]);
        self.bits += entropy_bound(lengths, self.hash_bits);
    }
}

/// A document as indented lines `name: value`.
fn as_text(value: &Value, depth: usize) -> String {
    let Value::Object(fields) = value else { return format!("{}\n", scalar(value)) };
    let line = |(name, value): (&String, &Value)| {
        let (indent, name) = ("  ".repeat(depth), name.replace('_', " "));
        match value {
            Value::Null => String::new(),
            Value::Object(inner) if !inner.is_empty() => {
                format!("{indent}{name}:\n{}", as_text(value, depth + 1))
            }
            _ => format!("{indent}{name}: {}\n", scalar(value)),
        }
    };
    fields.iter().map(line).collect()
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => grouped(whole),
            (None, Some(real)) => format!("{real:.4}"),
            (None, None) => number.to_string(),
        },
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(scalar).collect::<Vec<_>>().join(", "),
        Value::Null | Value::Bool(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_read_as_text() {
        let text = as_text(&json!({ "kind": "model", "training": { "rows": 12345, "loss": 0.25 } }), 0);
        assert_eq!(text, "kind: model\ntraining:\n  loss: 0.2500\n  rows: 12,345\n");
    }
}
