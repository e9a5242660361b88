//! Two members and a controller, embedded in a platform of plain queues: `docs/embed.md` goes through it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cirrus_core::bug::Bugs;
use cirrus_core::channel::Role;
use cirrus_core::controller::{self, Channel, Effect};
use cirrus_core::ids::{CallId, ControllerEpoch, FanOut, LinkId, MemberId, Millis};
use cirrus_core::machine::Machine as _;
use cirrus_core::member::{self, Kind, Member, Timer};

type ToMember = member::Event<usize, &'static str>;
type OfMember = member::Effect<usize, &'static str>;

/// All that is not a machine. A member's address is its number.
#[derive(Default)]
struct Platform {
    /// On the way to the controller, and to the member of this address. One queue each keeps all in order.
    to_controller: VecDeque<controller::Event<usize>>,
    to_members: VecDeque<(usize, ToMember)>,
    addresses: BTreeMap<MemberId, usize>,
    /// Who has called whom.
    links: BTreeMap<LinkId, (usize, usize)>,
    root: usize,
    timers: BTreeSet<(usize, Timer)>,
    delivered: String,
}

impl Platform {
    fn of_controller(&mut self, effect: Effect<usize>) {
        match effect {
            Effect::Accept { call, member } => _ = self.addresses.insert(member, call.0 as usize),
            Effect::Send { to, message } => self.send(self.addresses[&to], ToMember::Controller(message)),
            Effect::Refuse { .. } | Effect::SetTimer { .. } | Effect::ClearTimer(_) => {} // Not in this story.
        }
    }

    fn of_member(&mut self, me: usize, id: Option<MemberId>, effect: OfMember) {
        let from = id.unwrap_or_default();
        let other = |link| if self.links[&link].0 == me { self.links[&link].1 } else { self.links[&link].0 };
        match effect {
            OfMember::ToController(message) => {
                self.to_controller.push_back(controller::Event::From { member: from, message });
            }
            OfMember::Dial { link, address, .. } => {
                println!("member {me} calls its parent, member {address}");
                self.links.insert(link, (me, address));
                self.send(me, ToMember::LinkUp(link));
            }
            OfMember::Send { link, frame } => self.send(other(link), ToMember::Frame { link, frame }),
            OfMember::Hang(link) => self.send(other(link), ToMember::LinkDown(link)),
            OfMember::DialRoot { term, address } => {
                println!("member {me} calls the root, member {address}");
                self.root = address;
                self.send(me, ToMember::RootUp(term));
            }
            OfMember::Submit(submit) => self.send(self.root, ToMember::Submitted { from, submit }),
            OfMember::Go { to, term, sequence, index } => {
                self.send(self.addresses[&to], ToMember::Go { term, sequence, index });
            }
            OfMember::SetTimer { timer, .. } => _ = self.timers.insert((me, timer)),
            OfMember::ClearTimer(timer) => _ = self.timers.remove(&(me, timer)),
            OfMember::Deliver { head, pieces } => {
                println!("member {me} delivers round {}", head.id.round.0);
                self.delivered = pieces.unwrap_or_default().concat();
            }
            OfMember::Sent { outcome, .. } => println!("member {me} learns of its broadcast: {outcome:?}"),
            // In this story nobody dies or leaves,
            OfMember::Refused(_)
            | OfMember::Ended(_)
            | OfMember::HangRoot(_)
            | OfMember::HangSubmitter(_) => {}
            // and nothing is combined.
            OfMember::Combine { .. } | OfMember::Reduced { .. } => {}
        }
    }

    fn send(&mut self, to: usize, event: ToMember) {
        self.to_members.push_back((to, event));
    }
}

/// One event into one machine, and all its effects carried out before the next.
fn run(channel: &mut Channel<usize>, members: &mut [Member<usize, &'static str>], platform: &mut Platform) {
    let (bugs, second) = (Bugs::default(), Millis(1000));
    let channels = controller::Config {
        members_max: 8,
        probe: second,
        reshape: second,
        recovery: second,
        scan: 4,
        departed_max: 0,
        bugs,
    };
    let (kind, window, buffer, senders_max, attempts_max) = (Kind::Broadcast, 4, 4, 8, 4);
    let (strict, missing_max, deadline) = (false, 4, None);
    let (attach, redial, submission) = (second, second, second);
    let limits = member::Config {
        kind,
        window,
        buffer,
        senders_max,
        attempts_max,
        strict,
        missing_max,
        deadline,
        attach,
        redial,
        submission,
        bugs,
    };
    loop {
        if let Some(event) = platform.to_controller.pop_front() {
            let mut effects = Vec::new();
            channel.step(&channels, event, &mut effects);
            effects.into_iter().for_each(|effect| platform.of_controller(effect));
        } else if let Some((me, event)) = platform.to_members.pop_front() {
            let mut effects = Vec::new();
            members[me].step(&limits, event, &mut effects);
            effects.into_iter().for_each(|effect| platform.of_member(me, members[me].id, effect));
        } else {
            return;
        }
    }
}

fn main() {
    let mut channel = Channel::new(ControllerEpoch(1), FanOut(2));
    let (mut members, mut platform) = ([Member::new(0), Member::new(1)], Platform::default());
    for address in [0, 1] {
        platform.to_controller.push_back(controller::Event::Join {
            call: CallId(address as u64),
            address,
            role: Role::Both,
        });
        run(&mut channel, &mut members, &mut platform);
        platform.send(address, ToMember::Receive(1));
    }
    platform.send(1, ToMember::Send(vec!["hello, ", "everybody"]));
    run(&mut channel, &mut members, &mut platform);
    assert!(platform.timers.is_empty(), "a timer that is still set would fire one day");
    println!("{}", platform.delivered);
    assert_eq!(platform.delivered, "hello, everybody");
}

#[test]
fn the_broadcast_arrives_and_the_guide_quotes_what_is_here() {
    main();
    let (guide, here) = (include_str!("../../docs/embed.md"), include_str!("embed.rs"));
    let quotes: Vec<&str> =
        guide.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(quotes.len() > 2 && quotes.iter().all(|quote| here.contains(quote)), "{quotes:#?}");
}
