//! A model inside the store: one cell a key, the bias behind the last.
//!
//! The server checks keys and updates before its machine records them, then reads and applies; all four want the
//! keys decoded. The last few key lists are therefore kept decoded, recognised by their bytes: a worker's keys come
//! once to read and once or twice with the update that follows.
//!
//! Penalties act on all weights at every row. A cell takes up those of rows that did not have its feature when it is
//! next read or changed: beside the cells stands how far each has come (`Late`).

use std::cell::RefCell;
use std::sync::Arc;

use cirrus_protocol::error::FormatError;
use cirrus_protocol::gradient::{Update, view_floats};
use cirrus_protocol::keys::{KeyLimit, decode_sequence};
use cirrus_runtime::table::{Origin, Table, TableError, TableFactory};

use crate::job::TrainJob;
use crate::optimizer::{Floats, Optimizer, Penalty, WithOptimizer, cells_of, columns};

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
                late: Late::new(self.0),
            })
        }
    }
    job.optimizer().dispatch(New(job))
}

/// How much memory the table of `job` takes, in bytes.
#[must_use]
pub fn bytes(job: &TrainJob) -> u64 {
    struct CellBytes;
    impl WithOptimizer for CellBytes {
        type Output = usize;
        fn call<O: Optimizer>(self, _: O) -> usize {
            size_of::<O::Cell>()
        }
    }
    let late = if job.model().penalty.is_none() { 0 } else { size_of::<f64>() };
    (job.cells() * (job.optimizer().dispatch(CellBytes) + late)) as u64
}

#[derive(Debug)]
struct CellTable<O: Optimizer> {
    optimizer: O,
    cells: Vec<O::Cell>,
    limit: KeyLimit,
    lists: RefCell<DecodedLists>,
    late: Option<Late>,
}

/// Penalties that cells have not taken up yet.
#[derive(Debug)]
struct Late {
    penalty: Penalty,
    job: TrainJob,
    /// The rows so far, those of later passes counted by how far their rate has decayed: penalties go by the rate.
    rows: f64,
    /// Up to which rows each cell has taken them up. The bias, which is not penalised, has no number.
    taken: Vec<f64>,
}

impl Late {
    /// `None` for a job without penalties.
    fn new(job: &TrainJob) -> Option<Self> {
        let penalty = job.model().penalty;
        let taken = || vec![0.0; job.cells() - 1];
        (!penalty.is_none()).then(|| Self { penalty, job: job.clone(), rows: 0.0, taken: taken() })
    }

    /// The cell of this key with all penalties so far.
    fn take_up<O: Optimizer>(&mut self, optimizer: O, key: usize, cell: O::Cell) -> O::Cell {
        let Some(taken) = self.taken.get_mut(key) else { return cell };
        let missing = self.rows - core::mem::replace(taken, self.rows);
        if missing == 0.0 {
            return cell;
        }
        optimizer.end(optimizer.penalise(optimizer.begin(cell), self.penalty, missing))
    }

    /// The numbers behind a snapshot's cells: the rows, then those of each cell.
    fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        core::iter::once(self.rows).chain(self.taken.iter().copied())
    }
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
        let Self { optimizer, cells: table, limit, lists, late } = self;
        if keys.is_empty() {
            if let Some(late) = late {
                for (key, cell) in table.iter_mut().enumerate() {
                    *cell = late.take_up(*optimizer, key, *cell);
                }
            }
            append(table.iter().copied(), cells);
            return;
        }
        // Keys that were checked decode; others read nothing.
        let keys = lists.get_mut().keys(keys, *limit).unwrap_or_default();
        if let Some(late) = late {
            for key in keys {
                let cell = &mut table[*key as usize];
                *cell = late.take_up(*optimizer, *key as usize, *cell);
            }
        }
        append(keys.iter().map(|key| table[*key as usize]), cells);
    }

    fn apply(&mut self, keys: &[u8], update: Update<'_>, of: Origin) {
        let Self { optimizer, cells, limit, lists, late } = self;
        let decoded;
        let keys = if keys.is_empty() {
            decoded = (0..cells.len() as u32).collect::<Vec<_>>();
            &decoded
        } else {
            lists.get_mut().keys(keys, *limit).unwrap_or_default()
        };
        let Some(late) = late else {
            columns::zip(keys.iter(), &update, |key, update| {
                let cell = &mut cells[*key as usize];
                *cell = optimizer.apply(*cell, update);
            });
            return;
        };
        // The update holds its own rows' penalties for its own keys; before, these take up what others' rows did.
        let before = late.rows;
        let after = before + f64::from(of.rows) * f64::from(late.job.rate_factor(of.pass));
        columns::zip(keys.iter(), &update, |key, update| {
            let cell = &mut cells[*key as usize];
            *cell = optimizer.apply(late.take_up(*optimizer, *key as usize, *cell), update);
            if let Some(taken) = late.taken.get_mut(*key as usize) {
                *taken = after;
            }
        });
        late.rows = after;
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        append(self.cells.iter().copied(), out);
        out.extend(self.late.iter().flat_map(Late::numbers).flat_map(f64::to_le_bytes));
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), TableError> {
        let cells = self.cells.len() * O::Cell::COUNT * size_of::<f32>();
        let numbers = self.late.as_ref().map_or(0, |late| late.taken.len() + 1) * size_of::<f64>();
        if bytes.len() != cells + numbers {
            let text = format!("{} bytes, this model's table has {}", bytes.len(), cells + numbers);
            return Err(TableError::Snapshot(text));
        }
        let (cells, numbers) = bytes.split_at(cells);
        let floats = view_floats(cells).map_err(|error| TableError::Snapshot(error.to_string()))?;
        if let Some(bad) = floats.iter().find(|float| !float.get().is_finite()) {
            return Err(TableError::Snapshot(format!("a cell holds {bad}, expected finite numbers")));
        }
        let mut numbers = numbers.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes));
        if let (Some(late), Some(rows)) = (&mut self.late, numbers.next()) {
            let taken: Vec<_> = numbers.collect();
            if !rows.is_finite() || taken.iter().any(|taken| !(0.0..=rows).contains(taken)) {
                let text = "a cell has taken up the penalties of more rows than there were".to_owned();
                return Err(TableError::Snapshot(text));
            }
            (late.rows, late.taken) = (rows, taken);
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
