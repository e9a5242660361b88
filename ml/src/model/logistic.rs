//! Sparse logistic regression, one step a row.
//!
//! For a row with label y in {0, 1}, values x and margin z = w.x + bias, a step goes against the gradient of
//! `ln(1 + exp(z)) - y z + l2/2 * (sum of w_j^2 over the row's coordinates j)`, that is
//! `(p - y) x_j + l2 w_j` with `p = 1 / (1 + exp(-z))`, then moves each w_j of the row towards 0 by l1 times its
//! rate, never across. Both penalties act on the coordinates of the row alone: a key that occurs in n rows is
//! penalised n times a pass. The bias has the value 1 in every row and is not penalised.
//!
//! A row is taken in three loops: gather its cells into a small buffer while adding up the margin, step all of the
//! buffer (the loop that the compiler turns into vector code, roots and divisions included), scatter it back. The
//! margin is added up in [`LANES`] partial sums in a fixed order, so the bits do not depend on the processor.

use super::{Model, Rows, Scratch, sigmoid::LossSum, sigmoid::sigmoid};
use crate::optimizer::{LANES, Optimizer};

/// Sparse logistic regression.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Logistic {
    /// Strength of the L1 penalty, at least 0.
    pub l1: f32,
    /// Strength of the L2 penalty, at least 0.
    pub l2: f32,
}

impl Model for Logistic {
    fn learn<O: Optimizer>(
        self,
        optimizer: O,
        rows: Rows<'_>,
        cells: &mut [O::Cell],
        scratch: &mut Scratch<O::Cell>,
    ) -> f64 {
        scratch.fit(rows.block, optimizer.initial());
        let walk = match (!rows.block.values.is_empty(), self.l1 != 0.0) {
            (false, false) => Self::walk::<O, false, false>,
            (false, true) => Self::walk::<O, false, true>,
            (true, false) => Self::walk::<O, true, false>,
            (true, true) => Self::walk::<O, true, true>,
        };
        walk(self, optimizer, rows, cells, scratch)
    }
}

impl Logistic {
    /// The loop over rows. Without `VALUES` all values are 1; without `L1` that penalty is 0. (Without L2 the penalty
    /// is computed all the same: in vector code it costs nothing, the other two cost a quarter.)
    fn walk<O: Optimizer, const VALUES: bool, const L1: bool>(
        self,
        optimizer: O,
        rows: Rows<'_>,
        cells: &mut [O::Cell],
        scratch: &mut Scratch<O::Cell>,
    ) -> f64 {
        let Rows { block, order } = rows;
        let keys = block.keys.len();
        let (cells, last) = cells.split_at_mut(keys);
        let mut bias = last[0];
        let mut loss = LossSum::default();
        for i in 0..block.labels.len() {
            let row = order.map_or(i, |order| order[i] as usize);
            let span = block.row_starts[row] as usize..block.row_starts[row + 1] as usize;
            let ids = &block.ids[span.clone()];
            let values = if VALUES { &block.values[span] } else { &[] };
            let groups = ids.len().div_ceil(LANES);
            let buffer = &mut scratch.cells[..groups];
            let xs = &mut scratch.values[..if VALUES { groups } else { 0 }];

            let margin = gather::<O, VALUES>(cells, ids, values, buffer, xs) + O::weight(bias);
            let label = block.labels[row];
            let (probability, e) = sigmoid(margin);
            loss.add(margin, label, e);
            let gradient = probability - label;
            self.step::<O, VALUES, L1>(optimizer, gradient, buffer, xs);
            bias = optimizer.step(bias, gradient);
            scatter(buffer, ids, cells);
        }
        last[0] = bias;
        loss.total()
    }

    /// One step of all cells in the buffer.
    #[inline(always)]
    fn step<O: Optimizer, const VALUES: bool, const L1: bool>(
        self,
        optimizer: O,
        gradient: f32,
        buffer: &mut [[O::Cell; LANES]],
        xs: &[[f32; LANES]],
    ) {
        for (group, lanes) in buffer.iter_mut().enumerate() {
            for (lane, cell) in lanes.iter_mut().enumerate() {
                let g = if VALUES { gradient * xs[group][lane] } else { gradient };
                *cell = optimizer.step(*cell, g + self.l2 * O::weight(*cell));
                if L1 {
                    *cell = optimizer.shrink(*cell, self.l1);
                }
            }
        }
    }
}

/// Copies a row's cells into the buffer, and its values behind each other into `xs`; the row's margin without bias.
#[inline(always)]
fn gather<O: Optimizer, const VALUES: bool>(
    cells: &[O::Cell],
    ids: &[u32],
    values: &[f32],
    buffer: &mut [[O::Cell; LANES]],
    xs: &mut [[f32; LANES]],
) -> f32 {
    let mut sums = [0.0_f32; LANES];
    if VALUES {
        xs.as_flattened_mut()[..values.len()].copy_from_slice(values);
    }
    let (groups, rest) = ids.as_chunks::<LANES>();
    let mut take = |group: usize, lane: usize, id: u32, out: &mut [O::Cell; LANES]| {
        let cell = cells[id as usize];
        out[lane] = cell;
        sums[lane] += if VALUES { O::weight(cell) * xs[group][lane] } else { O::weight(cell) };
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
