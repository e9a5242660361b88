//! What each machine does about each event, by its situation: a table for each, to be read in review.
//!
//! The tables in `verification/tables/` are written by exploring the worlds in which a machine is fed anything, so they
//! say what the machines do, not what somebody believes. A change of behaviour is a change of a line. The test fails
//! when one differs; `TABLES=write cargo test ...` writes them anew, for review.

mod situations;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt::{Debug, Write as _};
use std::path::Path;
use std::sync::Arc;

use cirrus_core::bug::Bugs;
use cirrus_core::channel::Role;
use cirrus_core::member::Kind;

use crate::digest::BuildDigest;
use crate::pool::Pool;
use crate::tally::Tally;
use crate::worlds;
use situations::Situated;

/// Says that the tables are to be written.
const WRITE: &str = "TABLES";
/// Of each world so many states are looked at, the nearest first. Nothing new is found far out.
const STATES_MAX: usize = 20_000;

/// What was seen of one event in one situation.
#[derive(Clone, Debug, Default)]
struct Cell {
    /// The state changed, some time.
    changed: bool,
    /// Kinds of effects.
    effects: BTreeSet<String>,
}

/// By event, then by situation.
type Cells = BTreeMap<String, BTreeMap<&'static str, Cell>>;

/// Adds what a machine does in a world.
fn explore<M: Situated>(pool: &Pool<M>, cells: &mut Cells) {
    let first = pool.begin(&mut Tally::default()).machine;
    let mut seen: HashSet<Arc<M>, BuildDigest> = HashSet::default();
    seen.insert(Arc::clone(&first));
    let mut queue = VecDeque::from([first]);
    let events: Vec<_> = pool.events.iter().map(|event| (kind(event), event)).collect();
    while let Some(machine) = queue.pop_front() {
        if (pool.far)(&machine) {
            continue;
        }
        for (name, event) in &events {
            let mut after = (*machine).clone();
            let mut effects = Vec::new();
            after.step(&pool.config, (*event).clone(), &mut effects);
            let name = machine.stale(event).map_or_else(|| name.clone(), |stale| format!("{name}, {stale}"));
            let row = cells.entry(name).or_default();
            let cell = row.entry(machine.situation(event)).or_default();
            cell.effects.extend(effects.iter().map(kind));
            if after != *machine {
                cell.changed = true;
                let after = Arc::new(after);
                if seen.len() < STATES_MAX && seen.insert(Arc::clone(&after)) {
                    queue.push_back(after);
                }
            }
        }
    }
}

/// The name of a variant, with that of what it is about where one variant stands for many things.
fn kind(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let name =
        |text: &str| text.split(|it: char| !it.is_alphanumeric()).next().unwrap_or_default().to_owned();
    let outer = name(&text);
    let inside = ["frame: ", "message: ", "timer: "].iter().find_map(|field| text.split_once(field));
    let one_for_many =
        ["Line", "Controller", "ToController", "Timer", "ClearTimer", "Persisted", "PersistFailed"];
    let inside = match inside {
        Some((_, inside)) => Some(inside),
        None if one_for_many.contains(&outer.as_str()) => text.split_once('(').map(|(_, inside)| inside),
        None => None,
    };
    match inside.map(name) {
        // A machine with one sort of timers.
        Some(inner) if inner != "Timer" => format!("{outer} {inner}"),
        Some(_) | None => outer,
    }
}

/// A table as text: an overview, and then what the effects are.
fn text<M: Situated>(cells: &Cells) -> String {
    let mut text = format!(
        "# {}\n#\n# Written by a test, see verification/src/tables/mod.rs. In the overview, - means that the event is\n\
         # ignored, . that it only changes the state, * that it has effects; they are listed below it. A blank means\n\
         # that it did not come up.\n\n",
        M::ABOUT
    );
    let width = cells.keys().map(String::len).max().unwrap_or_default();
    let columns: Vec<usize> = M::SITUATIONS.iter().map(|name| name.len().max(3)).collect();
    let mut line = |first: &str, marks: &mut dyn Iterator<Item = &str>| {
        let mut row = format!("{first:<width$}");
        for (mark, column) in marks.zip(&columns) {
            let _ = write!(row, "  {mark:<column$}"); // Writing to a text cannot fail.
        }
        text.push_str(row.trim_end());
        text.push('\n');
    };
    line("", &mut M::SITUATIONS.iter().copied());
    for (event, row) in cells {
        line(event, &mut M::SITUATIONS.iter().map(|situation| row.get(situation).map_or("", mark)));
    }
    for situation in M::SITUATIONS {
        let _ = write!(text, "\n{situation}\n");
        for (event, row) in cells {
            if let Some(cell) = row.get(situation).filter(|cell| !cell.effects.is_empty()) {
                let effects: Vec<&str> = cell.effects.iter().map(String::as_str).collect();
                let _ = writeln!(text, "  {event:<width$}  {}", effects.join(", "));
            }
        }
    }
    text
}

fn mark(cell: &Cell) -> &'static str {
    match cell {
        Cell { effects, .. } if !effects.is_empty() => "*",
        Cell { changed: true, .. } => ".",
        Cell { .. } => "-",
    }
}

/// Compares a machine's table with the one that was reviewed, or writes it.
fn compare<M: Situated>(name: &str, pools: &[Pool<M>]) {
    let mut cells = Cells::new();
    for pool in pools {
        explore(pool, &mut cells);
    }
    let arisen: BTreeSet<&str> = cells.values().flat_map(|row| row.keys().copied()).collect();
    let named: BTreeSet<&str> = M::SITUATIONS.iter().copied().collect();
    assert_eq!(arisen, named, "every situation comes up, and each has a column");
    let now = text::<M>(&cells);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tables").join(name);
    if std::env::var(WRITE).is_ok_and(|value| value == "write") {
        std::fs::write(&file, now).unwrap();
        return;
    }
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = |this: &str, other: &str| -> String {
        let other: BTreeSet<&str> = other.lines().collect();
        this.lines().filter(|line| !other.contains(line)).map(|line| format!("\n  {line}")).collect()
    };
    assert!(
        now == before,
        "{name} is another one; if that is right, {WRITE}=write keeps it\nwas:{}\nis:{}",
        differs(&before, &now),
        differs(&now, &before)
    );
}

#[test]
fn the_controllers_table_is_as_reviewed() {
    let pools = [worlds::controller::pool(Bugs::default()), worlds::restart::pool(Bugs::default())];
    compare("controller.txt", &pools);
}

#[test]
fn the_directorys_table_is_as_reviewed() {
    let pools = [worlds::directory::pool(Bugs::default()), worlds::directory::restarted(Bugs::default())];
    compare("directory.txt", &pools);
}

#[test]
fn the_members_table_is_as_reviewed() {
    let lonely = worlds::contact::pool(Bugs::default());
    compare("member.txt", &[worlds::member::pool(Kind::Broadcast, &[], Bugs::default()), lonely]);
    compare("member-reduce.txt", &[worlds::member::pool(Kind::Reduce, &[], Bugs::default())]);
}

#[test]
fn the_shuffles_table_is_as_reviewed() {
    let pools =
        [Role::Receiver, Role::Sender].map(|role| worlds::shuffle::alone::pool(role, Bugs::default()));
    compare("shuffle.txt", &pools);
}

#[test]
fn the_messages_table_is_as_reviewed() {
    let pools = [false, true].map(|sends| worlds::messages::alone::pool(sends, Bugs::default()));
    compare("messages.txt", &pools);
}

#[test]
fn the_stores_table_is_as_reviewed() {
    compare("store.txt", &worlds::store::pools(Bugs::default()));
}

#[test]
fn the_leases_table_is_as_reviewed() {
    compare("lease.txt", &[worlds::lease::pool(3, Bugs::default())]);
}

#[test]
fn the_workers_table_is_as_reviewed() {
    compare("worker.txt", &[worlds::worker::pool(1, Bugs::default())]);
}

#[test]
fn the_fleets_table_is_as_reviewed() {
    compare("fleet.txt", &[worlds::fleet::pool(Bugs::default())]);
}

#[test]
fn kinds_are_told_apart() {
    use cirrus_core::{controller, fleet, member};
    let timer = controller::Timer::Reshape;
    assert_eq!(kind(&controller::Event::<u32>::Timer(timer)), "Timer Reshape");
    assert_eq!(kind(&controller::Effect::<u32>::ClearTimer(timer)), "ClearTimer Reshape");
    assert_eq!(kind(&member::Event::<u32, u32>::Leave), "Leave");
    assert_eq!(
        kind(&fleet::Event::Timer(fleet::Timer { slot: Default::default(), failed: Default::default() })),
        "Timer"
    );
}
