//! Two members and a controller, driven by hand over plain vectors: `docs/embed.md` goes through it.

use std::collections::{BTreeMap, BTreeSet};

use cirrus_core::channel::{Role, Tenancy};
use cirrus_core::controller::{self, Channel, Effect};
use cirrus_core::ids::{CallId, ControllerEpoch, FanOut, LinkId, MachineId, MemberId};
use cirrus_core::machine::Machine as _;
use cirrus_core::member::{self, Member, Timer};

/// What goes into a member, and what comes out.
type In = member::Event<usize, &'static str>;
type Out = member::Effect<usize, &'static str>;

/// All that is not a machine. A member's address is its number; what is on its way, the oldest first, are vectors.
#[derive(Default)]
struct Platform {
    to_controller: Vec<controller::Event<usize>>,
    to_members: Vec<(usize, In)>,
    addresses: BTreeMap<MemberId, usize>,
    links: BTreeMap<LinkId, [usize; 2]>, // Who has called whom.
    timers: BTreeSet<(usize, Timer)>,
    delivered: Vec<(usize, String)>,
}

impl Platform {
    fn of_controller(&mut self, effect: Effect<usize>) {
        match effect {
            Effect::Accept { call, member } => _ = self.addresses.insert(member, call.0 as usize),
            Effect::Send { to, message } => self.send(self.addresses[&to], In::Controller(message)),
            Effect::Refuse { .. } | Effect::SetTimer { .. } | Effect::ClearTimer(_) => {} // Not in this story.
        }
    }

    fn of_member(&mut self, me: usize, id: Option<MemberId>, effect: Out) {
        let member = id.unwrap_or_default();
        let other = |link| self.links[&link].into_iter().find(|it| *it != me).unwrap_or(me);
        match effect {
            Out::ToController(message) => {
                self.to_controller.push(controller::Event::From { member, message });
            }
            Out::Dial { link, address, .. } => {
                self.links.insert(link, [me, address]);
                self.send(me, In::LinkUp(link));
            }
            Out::Send { link, frame } => self.send(other(link), In::Frame { link, frame }),
            Out::Hang(link) => self.send(other(link), In::LinkDown(link)),
            Out::DialRoot { term, .. } => self.send(me, In::RootUp(term)), // In this story that is member 0.
            Out::Submit(submit) => self.send(0, In::Submitted { from: member, submit }),
            Out::Go { to, term, sequence, index } => {
                self.send(self.addresses[&to], In::Go { term, sequence, index });
            }
            Out::SetTimer { timer, .. } => _ = self.timers.insert((me, timer)),
            Out::ClearTimer(timer) => _ = self.timers.remove(&(me, timer)),
            Out::Deliver { pieces, .. } => self.delivered.push((me, pieces.unwrap_or_default().concat())),
            Out::Sent { outcome, .. } => println!("member {me} learns of its broadcast: {outcome:?}"),
            _ => {} // Of channels that reduce, or not in this story.
        }
    }

    fn send(&mut self, to: usize, event: In) {
        self.to_members.push((to, event));
    }
}

/// One event into one machine, and all its effects carried out before the next.
fn run(channel: &mut Channel<usize>, members: &mut [Member<usize, &'static str>], platform: &mut Platform) {
    let (channels, limits) = (controller::Config::default(), member::Config::default());
    while !platform.to_controller.is_empty() || !platform.to_members.is_empty() {
        for event in std::mem::take(&mut platform.to_controller) {
            let mut effects = Vec::new();
            channel.step(&channels, event, &mut effects);
            effects.into_iter().for_each(|effect| platform.of_controller(effect));
        }
        for (me, event) in std::mem::take(&mut platform.to_members) {
            let mut effects = Vec::new();
            members[me].step(&limits, event, &mut effects);
            effects.into_iter().for_each(|effect| platform.of_member(me, members[me].id, effect));
        }
    }
}

/// One of the two says hello to both.
pub(crate) fn main() {
    let mut channel = Channel::new(ControllerEpoch(1), FanOut(2));
    let (role, tenancy) = (Role::Both, Tenancy::Lambda(MachineId(0))); // Their machine has no daemon.
    let (mut members, mut platform) = ([0, 1].map(|it| Member::new(it, role, tenancy)), Platform::default());
    for address in [0, 1] {
        let call = CallId(address as u64);
        platform.to_controller.push(controller::Event::Join { call, address, role, tenancy });
        run(&mut channel, &mut members, &mut platform);
        platform.send(address, In::Receive(1));
    }
    platform.send(1, In::Send(vec!["hello, ", "everybody"]));
    run(&mut channel, &mut members, &mut platform);
    assert!(platform.timers.is_empty(), "a timer that is still set would fire one day");
    assert_eq!(platform.delivered, [0, 1].map(|member| (member, "hello, everybody".to_owned())));
}
