//! A member's connection to its controller: it may break at any time, and rounds go on meanwhile (M4).
//!
//! Who has lost it calls again after a pause, which grows with every call that comes to nothing, up to a limit. All
//! members of a controller lose it at the same moment, when that dies: so up to half of each pause is a matter of luck,
//! which is a field of the event. The longest pause must be well below the time for which a restarted controller waits.
//!
//! ```text
//!  member                                controller
//!    | ControllerLost(luck)     x
//!    |   pause                  x
//!    | CallController ----------x        nobody is there: a longer pause
//!    | CallController -------------------> |
//!    | <-------------- its epoch --------- |  not an earlier life of it than the last
//!    | Hello(registration) --------------> |
//! ```
//!
//! Nobody goes back to an earlier life of its controller: that is a process which was taken for dead, and knows nothing of
//! what has happened since. All that it could do is to fence whoever has gone on.

pub mod rules;

use crate::bug::Bug;
use crate::ids::{ControllerEpoch, Millis};
use crate::machine::Effects;

use super::event::{Config, Effect, Timer};
use super::links::Line;

/// A member's connection to the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Contact {
    /// The newest life of the controller that the member has heard of.
    pub epoch: ControllerEpoch,
    /// How the connection stands.
    pub line: Line,
    /// How many times it was lost or not made since the controller last said something.
    pub losses: u32,
}

impl Default for Contact {
    /// Who asks to join has one.
    fn default() -> Self {
        Self { epoch: ControllerEpoch::default(), line: Line::Up, losses: 0 }
    }
}

impl Contact {
    /// The connection broke, or was not made.
    pub(super) fn lost<A, P>(&mut self, config: &Config, luck: u32, out: &mut impl Effects<Effect<A, P>>) {
        if self.line == Line::Waiting {
            return; // It is known.
        }
        let after = pause(config, self.losses, luck);
        self.line = Line::Waiting;
        self.losses = self.losses.saturating_add(1);
        out.push(Effect::SetTimer { timer: Timer::Reregister(self.losses), after });
    }

    /// The pause is over.
    pub(super) fn call<A, P>(&mut self, losses: u32, out: &mut impl Effects<Effect<A, P>>) {
        if self.line == Line::Waiting && self.losses == losses {
            self.line = Line::Dialling;
            out.push(Effect::CallController);
        }
    }

    /// A controller of this epoch has taken the call; whether the member says anything to it.
    pub(super) fn up<A, P>(
        &mut self,
        config: &Config,
        epoch: ControllerEpoch,
        out: &mut impl Effects<Effect<A, P>>,
    ) -> bool {
        if epoch < self.epoch && !config.bugs.has(Bug::EarlierLifeBelieved) {
            self.line = Line::Dialling; // Until it is said to be lost.
            out.push(Effect::HangController);
            return false;
        }
        self.epoch = epoch;
        self.line = Line::Up;
        true
    }

    /// The controller says something; whether that is heard.
    pub(super) fn hears(&mut self) -> bool {
        let stands = self.line == Line::Up;
        if stands {
            self.losses = 0;
        }
        stands
    }

    /// The member's time is over.
    pub(super) fn end<A, P>(&mut self, out: &mut impl Effects<Effect<A, P>>) {
        if self.line == Line::Waiting {
            out.push(Effect::ClearTimer(Timer::Reregister(self.losses)));
        }
        *self = Self { epoch: self.epoch, ..Self::default() };
    }
}

/// How long to wait before the next call after so many that came to nothing.
fn pause(config: &Config, losses: u32, luck: u32) -> Millis {
    let Millis(longest) = longest_pause(config, losses);
    if config.bugs.has(Bug::AllCallAtOnce) {
        return Millis(longest);
    }
    let less = luck.checked_rem((longest / 2).saturating_add(1)).unwrap_or_default();
    let longest = if config.bugs.has(Bug::PauseNeverGrows) { config.recontact.0 } else { longest };
    Millis(longest.saturating_sub(less))
}

/// The same, without luck.
pub(super) fn longest_pause(config: &Config, losses: u32) -> Millis {
    let grown = config.recontact.0.saturating_mul(2_u32.saturating_pow(losses));
    Millis(grown.min(config.recontact_max.0))
}
