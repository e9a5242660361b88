//! Which timers may fire without anybody's being wronged.

use cirrus_core::channel::ToController;
use cirrus_core::ids::MemberId;
use cirrus_core::{controller, member};

use super::{Address, Mesh, Timer};

impl Mesh {
    /// Whether a timer may fire without anybody's being wronged.
    pub(crate) fn is_due(&self, timer: Timer) -> bool {
        let gone = |address: Option<&Address>| address.is_none_or(|address| self.live(*address).is_none());
        match timer {
            Timer::Controller(controller::Timer::Probe(member, _)) => gone(self.seats.get(&member)),
            Timer::Controller(controller::Timer::Reshape) => true,
            // Everybody who lives has called.
            Timer::Controller(controller::Timer::Recovery) => {
                let claims = self.controller.recovery.as_ref().map(|recovery| &recovery.claims);
                let called = |member: MemberId| {
                    let claim = claims.and_then(|claims| claims.get(&member.slot));
                    claim.is_some_and(|claim| claim.member.stamp >= member.stamp)
                };
                let mut living = self.processes.iter().filter(|process| process.listens());
                living.all(|process| process.machine.id.is_none_or(called))
            }
            Timer::Beside(address, timer) => self.is_line_due(address, timer),
            Timer::Member(address, timer) => {
                let Some(process) = self.live(address) else { return false };
                match timer {
                    member::Timer::Redial(_) | member::Timer::RedialRoot(_) => true,
                    member::Timer::Submission(from, _) => gone(self.seats.get(&from)),
                    member::Timer::HandlerLost(..) => {
                        let offered = process.machine.reduce.kept.as_ref().and_then(|kept| kept.offered);
                        match offered {
                            Some(handler) => gone(self.seats.get(&handler)),
                            None => self.controller.handler.is_none_or(|it| gone(self.seats.get(&it))),
                        }
                    }
                    // These wait for applications; and this one is listed with the connections.
                    member::Timer::RoundDeadline(..)
                    | member::Timer::Drain
                    | member::Timer::Reregister(_) => false,
                    member::Timer::Attach(link) => {
                        let links = &process.machine.links;
                        let up = links.parent.as_ref().map(|uplink| uplink.parent.edge);
                        let up = up.filter(|edge| edge.link == link).map(|edge| edge.member);
                        let down = links.children.get(&link).map(|child| child.member);
                        let known = up.or(down).is_none_or(|other| {
                            gone(self.seats.get(&other)) || self.is_cut_off(address, other)
                        });
                        // It fires again and again; once is enough as long as nobody has read it.
                        let said = ToController::Report(link);
                        known && !process.control.up.contains(&said)
                    }
                }
            }
        }
    }

    /// Whether a process cannot reach a member of whom it is a neighbour, and they have no relay yet.
    fn is_cut_off(&self, address: Address, other: MemberId) -> bool {
        let blocked = self.seats.get(&other).is_some_and(|to| self.is_blocked(address, *to));
        let member = self.live(address).and_then(|process| process.machine.id).filter(|_| blocked);
        member.is_some_and(|member| !self.controller.is_relayed(member, other))
    }
}
