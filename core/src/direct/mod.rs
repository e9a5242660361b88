//! Direct connections between members, past the tree: in order, each thing once, whatever breaks (D1).
//!
//! ```text
//!  sender                            receiver
//!    | Dial, "I am member 3" ----------> |      does it know a member 3? else the caller waits, in silence
//!    | <--------- Have { taken 4, next 6 }      the receiver speaks first
//!    | Item 6, Item 7 ------------------> |      what it lacks, from the very piece, within the window
//!    | <--------- Have { taken 5, next 8 }      its application has taken one more: there is room for one
//! ```
//!
//! A connection is that of the member that sends; who sends to each other has two. The sender keeps what the receiver's
//! application has not taken, and no more than a window of it: so memory is bounded at both ends, and a slow receiver
//! slows its senders alone. `Have` is absolute: one that is lost or comes twice does no harm. What does not follow on
//! what came before ends the connection, and the next one mends it.
//!
//! Who is a member, and who is gone, is the controller's to say. Whoever is missed while there is something to send to
//! it or to hear from it is reported, again and again; one that is gone is refused when it calls, and told why (M2, T5):
//! a controller that was restarted since may not know it. A process that stands still keeps its connections: so whoever
//! awaits something over those that stand asks now and then whether the membership has changed, and is answered only if
//! it has.

mod lines;
mod peer;
pub mod rules;

use core::marker::PhantomData;

use crate::machine::Effects;

pub use lines::{Effect as LineEffect, Event as LineEvent, Limits, Lines, Overdue, Timer};
pub use peer::{Have, Inbox, Outbox, Peer};

/// Gives what the lines want done to the machine that they are a part of, as effects of its own.
pub(crate) struct Through<'a, E, O>(&'a mut O, PhantomData<fn(E)>);

impl<'a, E, O: Effects<E>> Through<'a, E, O> {
    pub(crate) fn new(out: &'a mut O) -> Self {
        Self(out, PhantomData)
    }
}

impl<F, E: From<F>, O: Effects<E>> Effects<F> for Through<'_, E, O> {
    fn push(&mut self, effect: F) {
        self.0.push(effect.into());
    }
}
