//! Few ids, so that they collide.

use cirrus_core::ids::{BlockId, ControllerEpoch, GradientName, Incarnation, Pass, Stamp, WorkerId};
use cirrus_core::store::Sender;

/// A life of a slot.
pub(super) fn sender(worker: u32, incarnation: u32) -> Sender {
    Sender { worker: WorkerId(worker), incarnation: Incarnation(incarnation) }
}

/// A block of the only partition.
pub(super) fn block(block: u32) -> BlockId {
    BlockId { partition: 0, block }
}

/// A gradient of a whole block.
pub(super) fn name(pass: u32, number: u32) -> GradientName {
    GradientName { pass: Pass(pass), block: block(number), part: 0 }
}

/// A stamp of the controller's first life.
pub(super) fn stamp(serial: u32) -> Stamp {
    Stamp { epoch: ControllerEpoch(1), serial }
}
