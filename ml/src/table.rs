//! A model inside the store: one cell a key, the bias behind the last.
//!
//! The server checks keys and updates before its machine records them, then reads and applies; all four want the
//! keys decoded. The last few key lists are therefore kept decoded, recognised by their bytes: a worker's keys come
//! once to read and once or twice with the update that follows.

use std::cell::RefCell;
use std::sync::Arc;

use cirrus_protocol::error::FormatError;
use cirrus_protocol::gradient::{Update, view_floats};
use cirrus_protocol::keys::{KeyLimit, decode_sequence};
use cirrus_runtime::table::{Table, TableError, TableFactory};

use crate::job::TrainJob;
use crate::optimizer::{Floats, Optimizer, WithOptimizer, cells_of, columns};

/// Makes tables from the JSON text of a job ([`TrainJob::from_json`]).
#[must_use]
pub fn factory() -> TableFactory {
    Arc::new(|text| {
        let job = TrainJob::from_json(text).map_err(|error| TableError::Description(error.to_string()))?;
        Ok(new(&job))
    })
}

/// A table for `job`, before the first update.
#[must_use]
pub fn new(job: &TrainJob) -> Box<dyn Table> {
    struct New<'a>(&'a TrainJob);
    impl WithOptimizer for New<'_> {
        type Output = Box<dyn Table>;
        fn call<O: Optimizer>(self, optimizer: O) -> Box<dyn Table> {
            Box::new(CellTable {
                optimizer,
                cells: vec![optimizer.initial(); self.0.cells()],
                limit: KeyLimit { count: self.0.bias_key() + 1, key_max: self.0.bias_key() },
                lists: RefCell::default(),
            })
        }
    }
    job.optimizer().dispatch(New(job))
}

#[derive(Debug)]
struct CellTable<O: Optimizer> {
    optimizer: O,
    cells: Vec<O::Cell>,
    limit: KeyLimit,
    lists: RefCell<DecodedLists>,
}

/// Key lists that stay decoded: enough for one read in flight of a few workers.
const LISTS: usize = 8;

/// The last few key lists, each with its keys.
#[derive(Debug, Default)]
struct DecodedLists {
    lists: Vec<(Vec<u8>, Vec<u32>)>,
    /// The next to be replaced.
    next: usize,
}

impl DecodedLists {
    /// The keys of `bytes`, decoded now or before.
    fn keys(&mut self, bytes: &[u8], limit: KeyLimit) -> Result<&[u32], FormatError> {
        if let Some(found) = self.lists.iter().position(|(list, _)| list == bytes) {
            return Ok(&self.lists[found].1);
        }
        if self.lists.len() < LISTS {
            self.next = self.lists.len();
            self.lists.push(Default::default());
        }
        let slot = self.next;
        self.next = (slot + 1) % LISTS;
        let (list, keys) = &mut self.lists[slot];
        list.clear();
        decode_sequence(bytes, limit, keys)?;
        list.extend_from_slice(bytes);
        Ok(keys)
    }
}

impl<O: Optimizer> Table for CellTable<O> {
    fn check_keys(&self, keys: &[u8]) -> Result<(), TableError> {
        match self.lists.borrow_mut().keys(keys, self.limit) {
            Ok(_) => Ok(()),
            Err(error) => Err(TableError::Keys(error.to_string())),
        }
    }

    fn check_update(&self, keys: &[u8], update: Update<'_>) -> Result<(), TableError> {
        let refuse = |text: String| Err(TableError::Update(text));
        let expected = if keys.is_empty() {
            self.cells.len()
        } else {
            let mut lists = self.lists.borrow_mut();
            lists.keys(keys, self.limit).map_err(|error| TableError::Keys(error.to_string()))?.len()
        };
        let (columns, count) = (update.columns(), update.count());
        if columns != O::Update::COUNT {
            return refuse(format!("{columns} columns, the optimizer takes {}", O::Update::COUNT));
        }
        if count != expected {
            return refuse(format!("{count} values a column, the keys are {expected}"));
        }
        let values = (0..columns).filter_map(|index| update.column(index));
        if !columns::accepted::<O, _>(values.map(|column| column.iter().map(|value| value.get()))) {
            return refuse("a gradient is not finite, or a sum of squares is negative".to_owned());
        }
        Ok(())
    }

    fn read(&mut self, keys: &[u8], cells: &mut Vec<u8>) {
        if keys.is_empty() {
            append(self.cells.iter().copied(), cells);
            return;
        }
        // Keys that were checked decode; others read nothing.
        let keys = self.lists.get_mut().keys(keys, self.limit).unwrap_or_default();
        append(keys.iter().map(|key| self.cells[*key as usize]), cells);
    }

    fn apply(&mut self, keys: &[u8], update: Update<'_>) {
        let Self { optimizer, cells, limit, lists } = self;
        let step = |cell: &mut O::Cell, update| *cell = optimizer.apply(*cell, update);
        if keys.is_empty() {
            columns::zip(cells.iter_mut(), &update, step);
            return;
        }
        let keys = lists.get_mut().keys(keys, *limit).unwrap_or_default();
        columns::zip(keys.iter(), &update, |key, update| step(&mut cells[*key as usize], update));
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        append(self.cells.iter().copied(), out);
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), TableError> {
        let expected = self.cells.len() * O::Cell::COUNT * size_of::<f32>();
        if bytes.len() != expected {
            let text = format!("{} bytes, this model's table has {expected}", bytes.len());
            return Err(TableError::Snapshot(text));
        }
        let floats = view_floats(bytes).map_err(|error| TableError::Snapshot(error.to_string()))?;
        if let Some(bad) = floats.iter().find(|float| !float.get().is_finite()) {
            return Err(TableError::Snapshot(format!("a cell holds {bad}, expected finite numbers")));
        }
        self.cells.clear();
        self.cells.extend(cells_of::<O::Cell>(floats));
        Ok(())
    }
}

/// Appends cells as they travel.
fn append<C: Floats>(cells: impl ExactSizeIterator<Item = C>, out: &mut Vec<u8>) {
    let start = out.len();
    let bytes = C::COUNT * size_of::<f32>();
    out.resize(start + cells.len() * bytes, 0);
    for (place, cell) in out[start..].chunks_exact_mut(bytes).zip(cells) {
        for (i, float) in place.chunks_exact_mut(size_of::<f32>()).enumerate() {
            float.copy_from_slice(&cell.get(i).to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
