//! Stories of a channel that shuffles: what happens by itself, step by step, and what applications see of it.

use std::path::Path;

use cirrus_core::channel::Role;
use cirrus_core::direct::Timer;
use cirrus_core::ids::MemberId;

use super::WRITE;
use crate::system::System as _;
use crate::tally::Tally;
use crate::worlds;
use crate::zip::beside::Item;
use crate::zip::beside::shuffles::{self, Shuffling, Side};
use crate::zip::{Action, Mesh, Timer as Clock};

/// What happens by itself until nothing is left; and once, as soon as this is so, something else.
fn tell(about: &str, roles: &'static [Role], once: fn(&Mesh) -> Option<Action>) -> String {
    let system = worlds::shuffle::story(roles);
    let mut tally = Tally::default();
    let mut mesh = system.initial(&mut tally);
    let mut text = format!("# {about}\n");
    let mut struck = false;
    loop {
        let strike = once(&mesh).filter(|_| !struck);
        struck |= strike.is_some();
        let Some(action) = strike.or_else(|| system.fair(&mesh)) else { return text };
        text += &format!("\n{}\n", line(&mesh, &action));
        let before = mesh.clone();
        system.apply(&mut mesh, &action, Some(&mut tally));
        assert_eq!(system.broken(&mesh, &mut tally), [], "after:\n{text}");
        news(&before, &mesh).into_iter().for_each(|line| text += &format!("  {line}\n"));
    }
}

fn name(mesh: &Mesh, member: MemberId) -> String {
    mesh.seats.get(&member).map_or("nobody".to_owned(), |address| format!("member {address}"))
}

fn line(mesh: &Mesh, action: &Action) -> String {
    match action {
        Action::Call(who) => format!("the application of member {who} calls"),
        Action::Notice(who) => format!("member {who} hears of the roster"),
        Action::ConnectPipe((from, to)) => format!("member {from} calls member {to}"),
        Action::Crash(who, _) => format!("member {who} dies, and what it had sent is lost"),
        Action::PipeUp(pair) => match mesh.pipes.get(pair).and_then(|pipe| pipe.up.front()) {
            Some((_, Item::Parcel(parcel))) => {
                format!("member {} to member {}: {}", pair.0, pair.1, shuffles::in_words(&parcel.what))
            }
            Some(_) | None => {
                format!("member {} notices that the connection of member {} is gone", pair.1, pair.0)
            }
        },
        Action::PipeDown(pair) => match mesh.pipes.get(pair).and_then(|pipe| pipe.down.front()) {
            Some(have) => {
                let (taken, next) = (have.taken.0, have.next.0);
                format!("member {} to member {}: I have {next} of you, and took {taken}", pair.1, pair.0)
            }
            None => format!("member {} notices that its connection to member {} is gone", pair.0, pair.1),
        },
        Action::Fire(Clock::Beside(who, Timer::Missing(other))) => {
            format!("member {who} has missed {} for too long", name(mesh, *other))
        }
        Action::Fire(Clock::Member(who, _)) => {
            format!("member {who} misses a neighbour in the tree")
        }
        Action::Fire(Clock::Controller(_)) => "the controller has waited long enough".to_owned(),
        other => mesh.describe(other),
    }
}

/// What applications see, and who is declared dead.
fn news(before: &Mesh, after: &Mesh) -> Vec<String> {
    let mut lines = Vec::new();
    let gone = before.controller.tree.members().filter(|it| !after.controller.tree.contains(*it));
    lines.extend(gone.map(|it| format!("the controller declares {} dead", name(after, it))));
    let pairs = before.processes.iter().zip(&after.processes);
    let pairs =
        pairs.filter_map(|(was, is)| was.beside.as_ref()?.shuffles().zip(is.beside.as_ref()?.shuffles()));
    for (who, (was, is)) in pairs.enumerate() {
        if was.begun != is.begun {
            lines.push(format!("member {who} begins round {}", is.begun.round.0));
        }
        for ((round, from), got) in &is.got {
            for piece in got.iter().skip(was.got_from(*from, *round).len()) {
                let from = name(after, *from);
                lines.push(format!("the application of member {who} gets piece {} of {from}", piece.nth));
            }
        }
        for (_, side, lost) in is.verdicts.iter().skip(was.verdicts.len()) {
            let what = match side {
                Side::Received => "has received",
                Side::Sent => "has sent",
            };
            let lost: Vec<String> = lost.iter().map(|it| name(after, *it)).collect();
            let lost =
                if lost.is_empty() { "all".to_owned() } else { format!("without {}", lost.join(", ")) };
            lines.push(format!("member {who} {what}: {lost}"));
        }
    }
    lines
}

fn compare(file: &str, now: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts/shuffle").join(file);
    if std::env::var(WRITE).is_ok_and(|value| value == "write") {
        return std::fs::write(&file, now).unwrap();
    }
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(before == now, "{} goes otherwise now, and {WRITE}=write keeps it:\n{now}", file.display());
}

#[test]
fn a_calm_shuffle_goes_as_it_is_told() {
    let roles = &[Role::Receiver, Role::Sender, Role::Receiver];
    let text = tell("Member 1 has two pieces for each of the two receivers.", roles, |_| None);
    assert!(text.contains("member 1 has sent: all") && text.contains("member 2 has received: all"));
    compare("calm.txt", &text);
}

#[test]
fn a_shuffle_whose_sender_dies_goes_as_it_is_told() {
    let roles = &[Role::Receiver, Role::Sender, Role::Sender];
    let half = |mesh: &Mesh| {
        let first = mesh.processes.first().and_then(|it| it.beside.as_ref()?.shuffles());
        let half = first.is_some_and(|it: &Shuffling| !it.got.is_empty());
        half.then_some(Action::Crash(1, false))
    };
    let text = tell("Member 1 dies when its first piece has arrived; member 2 does not.", roles, half);
    assert!(text.contains("member 0 has received: without member 1"));
    compare("sender.txt", &text);
}
