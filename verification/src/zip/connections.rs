//! Connections: calls that arrive, ends that close, and who notices.

use std::collections::VecDeque;
use std::sync::Arc;

use cirrus_core::channel::Frame;
use cirrus_core::ids::{LinkId, MemberId, Term};
use cirrus_core::member;

use super::run::Run;
use super::{Action, Address, Direct, End, FromRoot, Piece, Timer, ToRoot, Wire};

impl Run<'_, '_> {
    /// Closes all connections of a process, and forgets its timers.
    pub(super) fn close_all(&mut self, address: Address, kept: bool) {
        self.hang_pipes(address, kept);
        self.close_in_tree(address, kept);
    }

    /// Closes its connections in the tree, and forgets its timers.
    pub(super) fn close_in_tree(&mut self, address: Address, kept: bool) {
        self.mesh.timers.retain(|timer| match timer {
            Timer::Controller(_) => true,
            Timer::Member(of, _) | Timer::Beside(of, _) => *of != address,
        });
        let links: Vec<LinkId> = self.mesh.wires.keys().copied().collect();
        for link in links {
            let Some(wire) = self.wire(link) else { continue };
            if !kept && wire.child == address {
                wire.up.clear();
            }
            if !kept && wire.parent == address {
                wire.down.clear();
            }
            self.hang(address, link);
        }
        self.shut_direct(address, false);
        let senders: Vec<Address> = (0..)
            .zip(&self.mesh.processes)
            .filter_map(|(sender, process)| {
                let to = process.direct.as_ref().filter(|direct| !direct.dialling).map(|direct| direct.to);
                (to == Some(address)).then_some(sender)
            })
            .collect();
        for sender in senders {
            if let Some(direct) = self.process(sender).and_then(|process| process.direct.as_mut()) {
                direct.shut = true;
                direct.up.clear();
                self.sent(Action::DirectDown(sender));
            }
        }
    }

    /// A sender's connection to the root ends; `noticed` by the sender later, or closed by it.
    pub(super) fn shut_direct(&mut self, address: Address, noticed: bool) {
        let member = self.mesh.processes.get(address as usize).and_then(|process| process.machine.id);
        let Some(process) = self.process(address) else { return };
        let Some(direct) = &mut process.direct else { return };
        let (to, reached) = (direct.to, !direct.dialling && !direct.shut);
        if noticed {
            direct.shut = true;
            direct.up.clear();
            direct.down.clear();
            self.sent(Action::DirectDown(address));
        } else {
            process.direct = None;
        }
        if let (Some(member), true) = (member, reached) {
            self.to(to, member::Event::SubmitterDown(member));
        }
    }

    pub(super) fn dial(&mut self, child: Address, link: LinkId, parent: Address, relay: bool) {
        // A call for a link that the parent still has open ends that one.
        if self.mesh.wires.get(&link).is_some_and(|wire| wire.parent_end == End::Open && !wire.dialling) {
            self.to(parent, member::Event::LinkDown(link));
        }
        let wire = Wire {
            child,
            parent,
            dialling: true,
            broken: false,
            child_end: End::Open,
            parent_end: End::Shut,
            relay,
            up: VecDeque::new(),
            down: VecDeque::new(),
        };
        self.mesh.wires.insert(link, Arc::new(wire));
        self.sent(Action::Connect(link));
    }

    pub(super) fn connect(&mut self, link: LinkId) {
        let Some(wire) = self.mesh.wires.get(&link) else { return };
        let (child, listens) = (wire.child, self.mesh.live(wire.parent).is_some());
        if listens && (wire.relay || !self.mesh.is_blocked(child, wire.parent)) {
            if let Some(wire) = self.wire(link) {
                wire.dialling = false;
                wire.parent_end = End::Open;
            }
            self.to(child, member::Event::LinkUp(link));
        } else {
            self.mesh.wires.remove(&link);
            self.to(child, member::Event::LinkDown(link));
        }
    }

    pub(super) fn up(&mut self, link: LinkId) {
        let Some(wire) = self.wire(link) else { return };
        let parent = wire.parent;
        if let Some(frame) = wire.up.pop_front() {
            return self.to(parent, member::Event::Frame { link, frame });
        }
        self.hang(parent, link);
        self.to(parent, member::Event::LinkDown(link));
    }

    pub(super) fn down(&mut self, link: LinkId) {
        let Some(wire) = self.wire(link) else { return };
        let child = wire.child;
        if let Some(frame) = wire.down.pop_front() {
            return self.to(child, member::Event::Frame { link, frame });
        }
        self.hang(child, link);
        self.to(child, member::Event::LinkDown(link));
    }

    /// A process closes its end of a wire.
    pub(super) fn hang(&mut self, address: Address, link: LinkId) {
        let Some(wire) = self.wire(link) else { return };
        let by_child = wire.child == address;
        let by_parent = wire.parent == address && !wire.dialling;
        if by_child {
            wire.child_end = End::Shut;
            wire.down.clear();
        }
        if by_parent {
            wire.parent_end = End::Shut;
            wire.up.clear();
        }
        if wire.child_end == End::Shut && (wire.dialling || wire.parent_end == End::Shut) {
            self.mesh.wires.remove(&link);
        } else if by_child {
            self.sent(Action::Up(link));
        } else if by_parent {
            self.sent(Action::Down(link));
        }
    }

    pub(super) fn connect_root(&mut self, address: Address) {
        let Some(direct) = self.mesh.live(address).and_then(|process| process.direct.as_ref()) else {
            return;
        };
        let (term, listens) = (direct.term, self.mesh.live(direct.to).is_some());
        let Some(process) = self.process(address) else { return };
        if listens {
            if let Some(direct) = &mut process.direct {
                direct.dialling = false;
            }
            self.to(address, member::Event::RootUp(term));
        } else {
            process.direct = None;
            self.to(address, member::Event::RootDown(term));
        }
    }

    pub(super) fn direct_down(&mut self, address: Address) {
        let Some(process) = self.process(address) else { return };
        let Some(direct) = &mut process.direct else { return };
        match direct.down.pop_front() {
            Some(FromRoot::Go(term, sequence, index)) => {
                self.to(address, member::Event::Go { term, sequence, index });
            }
            Some(FromRoot::Hand(chunk)) => self.to(address, member::Event::Handed(chunk)),
            None => {
                let term = direct.term;
                process.direct = None;
                self.to(address, member::Event::RootDown(term));
            }
        }
    }

    /// Something for the root goes on its way, if the connection stands.
    pub(super) fn send_root(&mut self, address: Address, what: ToRoot) {
        if let Some(direct) = self.process(address).and_then(|process| process.direct.as_mut())
            && !direct.shut
        {
            direct.up.push_back(what);
            self.sent(Action::DirectUp(address));
        }
    }

    /// Something of the root goes on its way.
    pub(super) fn send_from_root(&mut self, root: Address, to: MemberId, what: FromRoot) {
        if let Some((address, direct)) = self.direct_of(to, root) {
            direct.down.push_back(what);
            self.sent(Action::DirectDown(address));
        }
    }

    pub(super) fn send_frame(&mut self, address: Address, link: LinkId, frame: Frame<Address, Piece>) {
        let Some(wire) = self.wire(link) else { return };
        if wire.dialling || wire.broken {
            return; // Whoever writes to it has not noticed yet.
        }
        if wire.child == address && wire.parent_end == End::Open {
            wire.up.push_back(frame);
            self.sent(Action::Up(link));
        } else if wire.parent == address && wire.child_end == End::Open {
            wire.down.push_back(frame);
            self.sent(Action::Down(link));
        }
    }

    pub(super) fn dial_root(&mut self, address: Address, term: Term, to: Address) {
        if let Some(process) = self.process(address) {
            let (up, down) = (VecDeque::new(), VecDeque::new());
            process.direct = Some(Direct { term, to, dialling: true, shut: false, up, down });
            self.sent(Action::ConnectRoot(address));
        }
    }

    /// The connection of a sender to this root, if it stands.
    pub(super) fn direct_of(&mut self, sender: MemberId, root: Address) -> Option<(Address, &mut Direct)> {
        let sender = *self.mesh.seats.get(&sender)?;
        let direct = self.process(sender)?.direct.as_mut()?;
        (direct.to == root && !direct.dialling && !direct.shut).then_some((sender, direct))
    }
}
