//! Updates as they travel: one column after the other, each with one value a key.
//!
//! Cells lie one after the other, columns apart. A worker's columns are filled one at a time: that the optimiser is
//! asked again for each costs less than what is won, as the loop over one column is vector code, roots and divisions
//! included. The store's loop needs none of that: it waits for cells that lie anywhere in memory.

use cirrus_protocol::gradient::{F32, Update};

use super::{Floats, Optimizer, cells_of};

/// Replaces `out` by the columns of the updates that lead from the cells in `start`, as they travel, to those in
/// `end`; there are as many.
pub fn fill<O: Optimizer>(optimizer: O, start: &[F32], end: &[O::Local], out: &mut Vec<f32>) {
    out.clear();
    out.resize(end.len() * O::Update::COUNT, 0.0);
    for (column, values) in out.chunks_exact_mut(end.len().max(1)).enumerate() {
        for ((value, start), end) in values.iter_mut().zip(cells_of(start)).zip(end) {
            *value = optimizer.update(start, *end).get(column);
        }
    }
}

/// Whether the store may apply these columns (see [`Optimizer::accepts`]).
pub fn accepted<O: Optimizer, C>(columns: impl Iterator<Item = C>) -> bool
where
    C: Iterator<Item = f32>,
{
    let of_column = |(column, values): (usize, C)| values.fold(true, |all, v| all & O::accepts(column, v));
    columns.enumerate().all(of_column)
}

/// Calls `f` with each item and its part of `update`, in order; there are as many as the update has keys.
pub fn zip<T, U: Floats>(items: impl Iterator<Item = T>, update: &Update<'_>, mut f: impl FnMut(T, U)) {
    let columns: Vec<_> = (0..update.columns()).filter_map(|index| update.column(index)).collect();
    for (i, item) in items.enumerate() {
        f(item, U::from_fn(|column| columns[column][i].get()));
    }
}
