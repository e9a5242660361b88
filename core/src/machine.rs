//! The one shape of a machine: an event in, effects out, nothing else.
//!
//! - **No clock.** A timer is an effect that sets it; its firing is an event that carries the same value. The
//!   value names what it belongs to, so that a late firing is recognised and changes nothing.
//! - **No randomness.** A random choice is a field of the event.
//! - **Configuration is an argument**, outside the state, so that states stay small and comparable.
//! - After one step the caller carries out all effects in order before the next step.
//! - A machine never panics, whatever the event and the state.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

/// A pure state machine.
pub trait Machine: Clone + Debug + Eq + Hash {
    /// Everything that can happen to it.
    type Event: Clone + Debug + Eq + Hash;
    /// Everything it can ask its shell to do.
    type Effect: Clone + Debug + Eq + Hash;
    /// Limits, time-outs and modes; shared, not part of the state.
    type Config;

    /// Takes one event and pushes what must be done about it, in order.
    fn step(&mut self, config: &Self::Config, event: Self::Event, out: &mut impl Effects<Self::Effect>);
}

/// Where a machine puts its effects.
pub trait Effects<E> {
    /// Adds one effect behind those already there.
    fn push(&mut self, effect: E);
}

impl<E> Effects<E> for Vec<E> {
    fn push(&mut self, effect: E) {
        Self::push(self, effect);
    }
}
