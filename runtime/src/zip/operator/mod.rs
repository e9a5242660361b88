//! How values are combined: one trait, and the operators that come with it.
//!
//! An operator is asked for one piece at a time, with the pieces of several members in the order of a walk through the
//! tree: a member's own first, then those of its children, by place. So it need not be commutative; but it must be
//! associative, since what it is given may be combined already. It decides nothing about whose values these are.
//!
//! To add an operator, implement [`Operator`] in a file of its own and list it here.
//!
//! | module | operators |
//! |---|---|
//! | [`arithmetic`] | sum, mean, product, smallest and largest of numbers, one by one |

pub mod arithmetic;

use bytes::Bytes;

use super::payload::Payload;

pub(super) use arithmetic::numbered;
pub use arithmetic::{Number, max, mean, min, product, sum};

/// Combines values.
pub trait Operator: Send + Sync + 'static {
    /// How many bytes belong together: values are cut into pieces between them. `None` if a value must stay whole.
    fn element_bytes(&self) -> Option<usize>;

    /// Combines pieces of at least two members, in this order. An empty one stands for pieces that do not fit each other,
    /// and does not fit anything; `None` if these do not.
    fn combine(&self, pieces: &[Bytes]) -> Option<Bytes>;

    /// Combines the same places of pieces of at least two members, all of them as long as `out`, which is whole elements, into
    /// it. False if it cannot be done place by place; then `out` holds anything.
    fn combine_into(&self, _pieces: &[&[u8]], _out: &mut [u8]) -> bool {
        false
    }

    /// By which number the daemon of a machine knows it, which combines for its lambdas; 0 if it does not, and lambdas combine
    /// for each other.
    fn number(&self) -> u32 {
        0
    }

    /// What a member makes, in the end, of a value in which those of so many members are: what it is, if nothing else is
    /// said.
    fn finish(&self, value: Payload, _members: u32) -> Payload {
        value
    }
}

/// A function of whole values.
impl<F: Fn(&[Bytes]) -> Option<Bytes> + Send + Sync + 'static> Operator for F {
    fn element_bytes(&self) -> Option<usize> {
        None
    }

    fn combine(&self, pieces: &[Bytes]) -> Option<Bytes> {
        self(pieces)
    }
}

/// What becomes of pieces: one alone is left as it is, and of those that do not fit nothing is left.
pub(super) fn combine(operator: &dyn Operator, mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 || pieces.iter().all(Bytes::is_empty) {
        return pieces.pop().unwrap_or_default();
    }
    if pieces.iter().any(Bytes::is_empty) {
        return Bytes::new();
    }
    operator.combine(&pieces).unwrap_or_default()
}
