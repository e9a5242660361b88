//! Recordings, played again: the machines are made anew, hear what they heard, and must answer what they answered.
//!
//! What a recording is, is said by `cirrus_protocol::recording`. Here each of its lines must have its checksum, so that
//! nothing was changed, added or taken away; each event must lead to the very effects that were recorded; and after
//! each the machine's rules are asked, as in a simulation. The first line that fails any of this ends the replay, and is
//! named. A process that is killed may leave half a line at the end: that is reported, and no failure.

mod player;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead};

use cirrus_protocol::error::FormatError;
use cirrus_protocol::recording::{self, Header, Line, Made};

use crate::tally::{Broken, Tally};
use player::Player;

/// What came of a recording that is whole.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its first line.
    pub header: Header,
    /// Its machines.
    pub machines: Vec<Machine>,
    /// What the machines' rules have answered.
    pub tally: Tally,
    /// The last line is not whole: the process was killed while it wrote it. That line was not played.
    pub cut: bool,
    /// Microseconds from its beginning to its last event.
    pub us: u64,
}

/// A machine of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// What it is.
    pub made: String,
    /// Its events.
    pub events: u64,
    /// Its effects.
    pub effects: u64,
}

/// Why a recording is not what its machines did, and where that shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The line, from 1.
    pub line: u64,
    /// In a recorded step: what happened, of which machine.
    pub event: Option<String>,
    /// What is wrong.
    pub fault: Fault,
    /// The line is not as it was recorded, or one before it was taken away or added.
    pub edited: bool,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be read.
    Unreadable(String),
    /// It is no line of a recording, or of another version of it.
    Format(FormatError),
    /// It is not where it belongs.
    Misplaced(&'static str),
    /// It says something that this machine does not know.
    Unknown(String),
    /// The machine answers otherwise.
    Differs(Difference),
    /// A rule is broken.
    Rule(Broken),
    /// It is not as it was recorded, though its machine answers the same.
    Edited,
}

/// Where the machine's answer begins to differ from what was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which effect, from 1.
    pub effect: usize,
    /// What was recorded; `None` if there are no more.
    pub recorded: Option<String>,
    /// What the machine asks for now; `None` if there is no more.
    pub now: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_nothing = |text: &Option<String>| text.clone().unwrap_or_else(|| "nothing more".to_owned());
        match self {
            Self::Unreadable(why) | Self::Unknown(why) => f.write_str(why),
            Self::Format(error) => error.fmt(f),
            Self::Misplaced(why) => f.write_str(why),
            Self::Differs(difference) => write!(
                f,
                "the machine answers otherwise, from effect {} on\n  recorded: {}\n  now:      {}",
                difference.effect,
                or_nothing(&difference.recorded),
                or_nothing(&difference.now)
            ),
            Self::Rule(broken) => {
                let Broken { rule, detail } = broken;
                write!(f, "rule '{}' ({}) is broken: {detail}", rule.name, rule.promise)
            }
            Self::Edited => f.write_str("the machine answers the same"),
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(event) = &self.event {
            write!(f, "{event}\n  ")?;
        }
        self.fault.fmt(f)?;
        if self.edited {
            f.write_str(
                "\n  the line is not as it was recorded, or one before it was taken away or added: its checksum is wrong",
            )?;
        }
        Ok(())
    }
}

/// A step, for whoever wants to see all.
#[derive(Clone, Copy, Debug)]
pub struct Played<'a> {
    /// The line, from 1.
    pub line: u64,
    /// Microseconds since the recording began.
    pub us: u64,
    /// The machine.
    pub made: &'a str,
    /// What happened, as recorded.
    pub event: &'a serde_json::Value,
    /// How many effects that had.
    pub effects: usize,
}

/// Plays a recording from its first line to its last; `see` sees every step that was as recorded.
///
/// # Errors
/// The first line that is wrong.
pub fn replay(mut text: impl BufRead, see: &mut dyn FnMut(&Played<'_>)) -> Result<Report, Box<Rejected>> {
    let mut stage: Option<Stage> = None;
    let (mut sum, mut number, mut bytes) = (0, 0, Vec::new());
    loop {
        number += 1;
        let rejected = |fault| Box::new(Rejected { line: number, event: None, fault, edited: false });
        let unreadable = |error: &dyn fmt::Display| rejected(Fault::Unreadable(error.to_string()));
        bytes.clear();
        let read = text.read_until(b'\n', &mut bytes).map_err(|error: io::Error| unreadable(&error))?;
        let ended = bytes.pop_if(|last| *last == b'\n').is_some();
        let line = std::str::from_utf8(&bytes);
        if read == 0 || (!ended && number > 1 && !line.is_ok_and(|line| recording::check(sum, line).1)) {
            let empty = Fault::Misplaced("there is nothing in it: a recording begins with a header");
            let stage = stage.ok_or_else(|| rejected(empty))?;
            return Ok(stage.report(read > 0));
        }
        let line = line.map_err(|error| unreadable(&error))?;
        let (now, right) = recording::check(sum, line);
        sum = now;
        take(&mut stage, number, line, see)
            .map_err(|rejected| Box::new(Rejected { edited: !right, ..*rejected }))?;
        if !right {
            return Err(Box::new(Rejected { edited: true, ..*rejected(Fault::Edited) }));
        }
    }
}

/// Takes the next line.
fn take(
    stage: &mut Option<Stage>,
    number: u64,
    line: &str,
    see: &mut dyn FnMut(&Played<'_>),
) -> Result<(), Box<Rejected>> {
    let rejected = |fault| Box::new(Rejected { line: number, event: None, fault, edited: false });
    let line = recording::parse(line).map_err(|error| rejected(Fault::Format(error)))?;
    match (line, stage) {
        (Line::Header(header), stage @ None) => {
            *stage = Some(Stage::new(header));
            Ok(())
        }
        (Line::Header(_), Some(_)) => Err(rejected(Fault::Misplaced("there is a header already"))),
        (_, None) => Err(rejected(Fault::Misplaced("a recording begins with a header"))),
        (Line::Made { machine, made }, Some(stage)) => {
            stage.begin(machine, &made).map_err(|why| rejected(Fault::Misplaced(why)))
        }
        (Line::Step { us, machine, event, effects }, Some(stage)) => {
            let Some(at) = stage.machines.get_mut(&machine) else {
                return Err(rejected(Fault::Misplaced("this machine has not begun in this recording")));
            };
            let told = format!("{}: {event}", at.about.made);
            let count = at.player.step(&event, effects, &mut stage.tally);
            let count =
                count.map_err(|fault| Box::new(Rejected { event: Some(told), ..*rejected(fault) }))?;
            at.about.events += 1;
            at.about.effects += count as u64;
            stage.us = us;
            see(&Played { line: number, us, made: &at.about.made, event: &event, effects: count });
            Ok(())
        }
    }
}

/// The machines of a recording, as they are.
struct Stage {
    header: Header,
    machines: BTreeMap<u32, At>,
    tally: Tally,
    us: u64,
}

struct At {
    about: Machine,
    player: Player,
}

impl Stage {
    fn new(header: Header) -> Self {
        Self { header, machines: BTreeMap::new(), tally: Tally::default(), us: 0 }
    }

    fn begin(&mut self, number: u32, made: &Made) -> Result<(), &'static str> {
        let about = Machine { made: made.to_string(), events: 0, effects: 0 };
        let at = At { about, player: Player::new(made) };
        if self.machines.insert(number, at).is_some() {
            return Err("a machine of this number has begun before");
        }
        Ok(())
    }

    fn report(self, cut: bool) -> Report {
        let machines = self.machines.into_values().map(|at| at.about).collect();
        Report { header: self.header, machines, tally: self.tally, cut, us: self.us }
    }
}
