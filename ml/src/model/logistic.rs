//! Sparse logistic regression, one step a row.
//!
//! For a row with label y in {0, 1}, values x and margin z = w.x + bias, a step goes against the gradient of
//! `ln(1 + exp(z)) - y z`, that is `(p - y) x_j` with `p = 1 / (1 + exp(-z))`. Then the penalties act on every weight,
//! touched or not, so that what is minimised is the mean loss plus `l1 |w| + l2/2 w^2` ([`Penalty`]); they are taken
//! up when a weight is next used, and for all of the block at its end. The bias has the value 1 in every row and is not
//! penalised.
//!
//! A row is taken in three loops: gather its cells into a small buffer while adding up the margin, step all of the
//! buffer (the loop that the compiler turns into vector code, roots and divisions included), scatter it back. The
//! margin is added up in [`LANES`] partial sums in a fixed order, so the bits do not depend on the processor.

use super::{Model, Rows, Scratch, sigmoid::LossSum, sigmoid::sigmoid};
use crate::optimizer::{LANES, Optimizer, Penalty};

/// Sparse logistic regression.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Logistic {
    /// What keeps weights small.
    pub penalty: Penalty,
}

impl Model for Logistic {
    fn learn<O: Optimizer>(
        self,
        optimizer: O,
        rows: Rows<'_>,
        cells: &mut [O::Local],
        scratch: &mut Scratch<O::Local>,
    ) -> f64 {
        scratch.fit(rows.block, optimizer.begin(optimizer.initial()));
        let walk = match (!rows.block.values.is_empty(), !self.penalty.is_none()) {
            (false, false) => Self::walk::<O, false, false>,
            (false, true) => Self::walk::<O, false, true>,
            (true, false) => Self::walk::<O, true, false>,
            (true, true) => Self::walk::<O, true, true>,
        };
        walk(self, optimizer, rows, cells, scratch)
    }
}

impl Logistic {
    /// The loop over rows. Without `VALUES` all values are 1; without `PENALTY` there is none.
    fn walk<O: Optimizer, const VALUES: bool, const PENALTY: bool>(
        self,
        optimizer: O,
        rows: Rows<'_>,
        cells: &mut [O::Local],
        scratch: &mut Scratch<O::Local>,
    ) -> f64 {
        let Rows { block, order } = rows;
        let keys = block.keys.len();
        let (cells, last) = cells.split_at_mut(keys);
        let mut bias = optimizer.meet(last[0], 1.0);
        let mut loss = LossSum::default();
        for i in 0..block.labels.len() {
            let row = order.map_or(i, |order| order[i] as usize);
            let span = block.row_starts[row] as usize..block.row_starts[row + 1] as usize;
            let ids = &block.ids[span.clone()];
            let values = if VALUES { &block.values[span] } else { &[] };
            if PENALTY {
                self.catch_up(optimizer, ids, i as u32, cells, &mut scratch.penalised);
            }
            let groups = ids.len().div_ceil(LANES);
            let buffer = &mut scratch.cells[..groups];
            let xs = &mut scratch.values[..if VALUES { groups } else { 0 }];

            let margin = gather::<O, VALUES>(optimizer, cells, ids, values, buffer, xs) + O::weight(bias);
            let label = block.labels[row];
            let (probability, e) = sigmoid(margin);
            loss.add(margin, label, e);
            let gradient = probability - label;
            step::<O, VALUES>(optimizer, gradient, buffer, xs);
            bias = optimizer.step(bias, gradient);
            scatter(buffer, ids, cells);
        }
        if PENALTY {
            for (cell, penalised) in cells.iter_mut().zip(&scratch.penalised) {
                let missing = block.labels.len() as u32 - penalised;
                *cell = optimizer.penalise(*cell, self.penalty, missing.into());
            }
        }
        last[0] = bias;
        loss.total()
    }

    /// Takes up the penalties of all rows before this one.
    #[inline(always)]
    fn catch_up<O: Optimizer>(
        self,
        optimizer: O,
        ids: &[u32],
        row: u32,
        cells: &mut [O::Local],
        penalised: &mut [u32],
    ) {
        for &id in ids {
            let (cell, penalised) = (&mut cells[id as usize], &mut penalised[id as usize]);
            *cell = optimizer.penalise(*cell, self.penalty, (row - *penalised).into());
            *penalised = row;
        }
    }
}

/// One step of all cells in the buffer.
#[inline(always)]
fn step<O: Optimizer, const VALUES: bool>(
    optimizer: O,
    gradient: f32,
    buffer: &mut [[O::Local; LANES]],
    xs: &[[f32; LANES]],
) {
    for (group, lanes) in buffer.iter_mut().enumerate() {
        for (lane, cell) in lanes.iter_mut().enumerate() {
            let g = if VALUES { gradient * xs[group][lane] } else { gradient };
            *cell = optimizer.step(*cell, g);
        }
    }
}

/// Copies a row's cells into the buffer, and its values behind each other into `xs`; the row's margin without bias.
#[inline(always)]
fn gather<O: Optimizer, const VALUES: bool>(
    optimizer: O,
    cells: &[O::Local],
    ids: &[u32],
    values: &[f32],
    buffer: &mut [[O::Local; LANES]],
    xs: &mut [[f32; LANES]],
) -> f32 {
    let mut sums = [0.0_f32; LANES];
    if VALUES {
        xs.as_flattened_mut()[..values.len()].copy_from_slice(values);
    }
    let (groups, rest) = ids.as_chunks::<LANES>();
    let mut take = |group: usize, lane: usize, id: u32, out: &mut [O::Local; LANES]| {
        let x = if VALUES { xs[group][lane] } else { 1.0 };
        let cell = optimizer.meet(cells[id as usize], x);
        out[lane] = cell;
        sums[lane] += O::weight(cell) * x;
    };
    let (full, last) = buffer.split_at_mut(groups.len());
    for (group, (ids, out)) in groups.iter().zip(full).enumerate() {
        for (lane, &id) in ids.iter().enumerate() {
            take(group, lane, id, out);
        }
    }
    if let [last] = last {
        for (lane, &id) in rest.iter().enumerate() {
            take(groups.len(), lane, id, last);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// Copies the buffer back to the row's cells.
#[inline(always)]
fn scatter<C: Copy>(buffer: &[[C; LANES]], ids: &[u32], cells: &mut [C]) {
    let (groups, rest) = ids.as_chunks::<LANES>();
    let (full, last) = buffer.split_at(groups.len());
    for (ids, lanes) in groups.iter().zip(full) {
        for (&id, &cell) in ids.iter().zip(lanes) {
            cells[id as usize] = cell;
        }
    }
    if let [last] = last {
        for (&id, &cell) in rest.iter().zip(last) {
            cells[id as usize] = cell;
        }
    }
}
