//! Members and their controller: words, connections that are lost and made again, and a controller that is restarted.

use std::sync::Arc;

use cirrus_core::channel::{ToController, ToMember};
use cirrus_core::controller::{self, Channel};
use cirrus_core::ids::{ControllerEpoch, MemberId};
use cirrus_core::member;

use super::beside::News;
use super::run::{Inner, Run};
use super::{Action, Address, Timer};

impl Run<'_, '_> {
    /// The controller begins its next life. Whoever was connected must call again; who was not welcomed yet has no id
    /// to call with, and gives up.
    pub(super) fn restart(&mut self) {
        let mesh = &mut *self.mesh;
        let ControllerEpoch(epoch) = mesh.controller.tree.epoch();
        let condemned = mesh.processes.iter().filter(|process| process.listens());
        let condemned = condemned.filter_map(|process| process.machine.id);
        let condemned: Vec<MemberId> = condemned.filter(|member| !mesh.knows(*member)).collect();
        Arc::make_mut(&mut mesh.forgotten).extend(condemned);
        let fan_out = mesh.controller.tree.reshapes_to().unwrap_or(mesh.controller.tree.fan_out());
        mesh.controller = Arc::new(Channel::new(ControllerEpoch(epoch + 1), fan_out));
        mesh.timers.retain(|timer| !matches!(timer, Timer::Controller(_)));
        let mut lost = Vec::new();
        for (address, process) in (0..).zip(&mut mesh.processes) {
            let process = Arc::make_mut(process);
            process.alive &= process.machine.id.is_some();
            lost.extend((process.listens() && !process.control.cut).then_some(address));
            process.control = super::Control { cut: process.listens(), ..super::Control::default() };
        }
        for address in lost {
            self.lost(address);
        }
        self.todo.push_back(Inner::Controller(controller::Event::Restarted));
    }

    /// A member notices that it has lost the controller. Each has a luck of its own.
    pub(super) fn lost(&mut self, address: Address) {
        let luck = address.wrapping_add(1).wrapping_mul(0x9e37_79b9);
        self.to(address, member::Event::ControllerLost { luck });
    }

    /// A member calls the controller.
    pub(super) fn call_controller(&mut self, address: Address) {
        if std::mem::take(&mut self.unanswered) {
            return self.lost(address);
        }
        if let Some(process) = self.process(address) {
            process.control.cut = false;
        }
        let epoch = self.mesh.controller.tree.epoch();
        self.to(address, member::Event::ControllerUp { epoch });
        self.for_beside(address, News::ControllerUp);
    }

    /// The controller probes one that does not hear it, and gives up.
    pub(super) fn fence(&mut self, address: Address) {
        let Some(process) = self.process(address) else { return };
        let cut = super::Control { cut: true, ..super::Control::default() };
        let known = std::mem::replace(&mut process.control, cut).cut;
        let Some(member) = process.machine.id else { return };
        if !known {
            self.lost(address);
        }
        self.controller(controller::Event::Suspected(member));
        if let Some(probe) = self.mesh.controller.record(member).and_then(|record| record.probe) {
            let timer = controller::Timer::Probe(member, probe);
            self.mesh.timers.remove(&Timer::Controller(timer));
            self.controller(controller::Event::Timer(timer));
        }
    }

    pub(super) fn send_word(&mut self, to: MemberId, message: ToMember<Address>) {
        let Some(address) = self.mesh.seats.get(&to).copied() else { return };
        if self.mesh.live(address).is_none() {
            return;
        }
        if let Some(process) = self.process(address)
            && !process.control.cut
        {
            process.control.down.push_back(message);
            self.sent(Action::Hear(address));
        }
    }

    pub(super) fn tell_controller(&mut self, address: Address, message: ToController<Address>) {
        if let Some(process) = self.process(address)
            && !process.control.cut
        {
            process.control.up.push_back(message);
            self.sent(Action::Say(address));
        }
    }
}
