//! The tree below: what its links carry arrives in the same step.

use std::sync::Arc;

use cirrus_core::channel::Roll;
use cirrus_core::ids::LinkId;
use cirrus_core::member::{Effect, Event};
use cirrus_core::shuffle;

use super::run::Run;
use super::{Address, Timer, Word};

impl Run<'_, '_> {
    pub(super) fn on_tree(&mut self, me: Address, effect: Effect<Address, Roll<Address>>) {
        match effect {
            Effect::ToController(message) => self.say(me, message),
            Effect::Dial { link, address, .. } => {
                if self.group.live(address).is_some() {
                    Arc::make_mut(&mut self.group.links).insert(link, (me, address));
                    self.for_member(me, Event::LinkUp(link));
                } else {
                    self.for_member(me, Event::LinkDown(link));
                }
            }
            Effect::Send { link, frame } => {
                if let Some(to) = self.other_end(me, link) {
                    self.for_member(to, Event::Frame { link, frame });
                }
            }
            Effect::Hang(link) => {
                if let Some(to) = self.other_end(me, link) {
                    Arc::make_mut(&mut self.group.links).remove(&link);
                    self.for_member(to, Event::LinkDown(link));
                }
            }
            Effect::DialRoot { term, address } => {
                if self.group.live(address).is_some() {
                    Arc::make_mut(&mut self.group.roots).insert(me, (term, address));
                    self.for_member(me, Event::RootUp(term));
                } else {
                    self.for_member(me, Event::RootDown(term));
                }
            }
            Effect::HangRoot(_) => self.leave_root(me),
            Effect::Submit(submit) => {
                let root = self.group.roots.get(&me).map(|(_, root)| *root);
                let from = self.group.processes.get(me as usize).and_then(|it| it.member.id);
                if let (Some(root), Some(from)) = (root, from) {
                    self.for_member(root, Event::Submitted { from, submit });
                }
            }
            Effect::Go { to, term, sequence, index } => {
                if let Some(sender) = self.group.seats.get(&to).copied() {
                    self.for_member(sender, Event::Go { term, sequence, index });
                }
            }
            Effect::HangSubmitter(from) => {
                let sender = self.group.seats.get(&from).copied();
                let line = sender.and_then(|it| Arc::make_mut(&mut self.group.roots).remove(&it));
                if let (Some(sender), Some((term, _))) = (sender, line) {
                    self.for_member(sender, Event::RootDown(term));
                }
            }
            Effect::Deliver { head, pieces } => {
                let roll = pieces.and_then(|pieces| pieces.into_iter().next());
                if let (Some(roll), Some(process)) = (roll, self.process(me)) {
                    process.unheard.push_back(Word::Roster(head.id, head.cut, roll));
                }
            }
            Effect::Sent { .. } => match self.process(me) {
                Some(process) if !process.unheard.is_empty() => process.unheard.push_back(Word::Convened),
                Some(_) | None => self.for_shuffle(me, shuffle::Event::Convened),
            },
            Effect::Combine { .. } | Effect::Reduced { .. } | Effect::Refused(_) => {}
            Effect::Ended(_) => self.close_all(me, true),
            Effect::SetTimer { timer, .. } => _ = self.group.timers.insert(Timer::Member(me, timer)),
            Effect::ClearTimer(timer) => _ = self.group.timers.remove(&Timer::Member(me, timer)),
        }
    }

    fn other_end(&self, me: Address, link: LinkId) -> Option<Address> {
        let (child, parent) = *self.group.links.get(&link)?;
        (child == me).then_some(parent).or((parent == me).then_some(child))
    }

    fn leave_root(&mut self, me: Address) {
        let member = self.group.processes.get(me as usize).and_then(|it| it.member.id);
        let line = Arc::make_mut(&mut self.group.roots).remove(&me);
        if let (Some(member), Some((_, root))) = (member, line) {
            self.for_member(root, Event::SubmitterDown(member));
        }
    }

    /// All that a process has open is closed, and its timers are forgotten.
    pub(super) fn close_all(&mut self, me: Address, kept: bool) {
        self.hang_all(me, kept);
        let links: Vec<LinkId> = self.group.links.keys().copied().collect();
        for link in links {
            if let Some(to) = self.other_end(me, link) {
                Arc::make_mut(&mut self.group.links).remove(&link);
                self.for_member(to, Event::LinkDown(link));
            }
        }
        self.leave_root(me);
        let senders = self.group.roots.iter().filter(|(_, (_, root))| *root == me);
        let senders: Vec<_> = senders.map(|(sender, (term, _))| (*sender, *term)).collect();
        for (sender, term) in senders {
            Arc::make_mut(&mut self.group.roots).remove(&sender);
            self.for_member(sender, Event::RootDown(term));
        }
        let of = |timer: &Timer| match timer {
            Timer::Controller(_) => false,
            Timer::Member(of, _) | Timer::Shuffle(of, _) => *of == me,
        };
        self.group.timers.retain(|timer| !of(timer));
    }
}
