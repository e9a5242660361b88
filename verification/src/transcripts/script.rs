//! The lines of a script.
//!
//! ```text
//! channel of 7 members, fan-out 2   who is in when the story begins
//! join                              somebody new asks to join
//! leave 1                           member 1 wants to leave
//! send 2 "3 pieces"                 member 2 broadcasts something of three pieces
//! reshape                           the fan-out becomes larger by one
//! restart                           the controller dies, and is started again without what it knew
//! call 1                            member 1 calls the controller again
//! crash 0                           the process of member 0 dies; what it had sent is lost
//! crash 0 late                      the same, but what it had sent still arrives
//! break 0-1                         the link between 0 and 1 breaks, and what was on it is lost
//! deliver 0>1                       the next message from 0 to 1 arrives, or 1 notices that the link is gone
//! deliver controller>1              the same between the controller and a member
//! deliver 2=>0                      the same on a sender's own connection to the root
//! connect 1>0                       the call of 1 to its parent 0 arrives; 2=>0 for a sender's to the root
//! fire attach 1>0                   a timer of 1 about its link to 0 fires; also redial
//! fire probe 1                      the controller's timer about member 1; also submission, the root's
//! fire recovery                     the time is over in which members call a controller that was restarted
//! lapse                             the lease of a dead root runs out
//! settle                            everything happens that happens by itself, in a fair order
//! settle control                    the same, but only between the controller and members
//! tree                              who sits below whom
//! look                              how everybody stands
//! ```

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// What there is in the beginning.
    Channel { members: u32, fan_out: u32 },
    /// A step.
    Do(Step),
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Controller,
    Member(u32),
}

/// Two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A link of the tree, or a member's connection to the controller.
    Link(Who, Who),
    /// A sender's own connection to the root.
    Direct(u32, u32),
}

/// Whose timer, about what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    Attach(u32, u32),
    Redial(u32, u32),
    RedialRoot(u32),
    Probe(u32),
    Submission(u32),
    Reshape,
    Recovery,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Join,
    Leave(u32),
    Send(u32, u32),
    Reshape,
    Restart,
    Call(u32),
    Crash(u32, bool),
    Break(u32, u32),
    Deliver(Way),
    Connect(Way),
    Fire(Clock),
    Lapse,
    Settle,
    SettleControl,
    Tree,
    Look,
}

/// Reads a line.
pub(super) fn parse(line: &str) -> Result<Line, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let step = match *words.as_slice() {
        ["channel", "of", members, "members,", "fan-out", fan_out] => {
            return Ok(Line::Channel { members: number(members)?, fan_out: number(fan_out)? });
        }
        ["join"] => Step::Join,
        ["leave", who] => Step::Leave(number(who)?),
        ["send", who, many, "piece\"" | "pieces\""] => {
            Step::Send(number(who)?, number(many.trim_start_matches('"'))?)
        }
        ["reshape"] => Step::Reshape,
        ["restart"] => Step::Restart,
        ["call", who] => Step::Call(number(who)?),
        ["crash", who] => Step::Crash(number(who)?, false),
        ["crash", who, "late"] => Step::Crash(number(who)?, true),
        ["break", ends] => {
            let (one, other) = split(ends, "-")?;
            Step::Break(number(one)?, number(other)?)
        }
        ["deliver", ends] => Step::Deliver(way(ends)?),
        ["connect", ends] => Step::Connect(way(ends)?),
        ["fire", "attach", ends] => pair(ends, Clock::Attach)?,
        ["fire", "redial", ends] if ends.contains('>') => pair(ends, Clock::Redial)?,
        ["fire", "redial-root", who] => Step::Fire(Clock::RedialRoot(number(who)?)),
        ["fire", "probe", who] => Step::Fire(Clock::Probe(number(who)?)),
        ["fire", "submission", who] => Step::Fire(Clock::Submission(number(who)?)),
        ["fire", "recovery"] => Step::Fire(Clock::Recovery),
        ["fire", "reshape"] => Step::Fire(Clock::Reshape),
        ["lapse"] => Step::Lapse,
        ["settle"] => Step::Settle,
        ["settle", "control"] => Step::SettleControl,
        ["tree"] => Step::Tree,
        ["look"] => Step::Look,
        _ => return Err("there is no such step".to_owned()),
    };
    Ok(Line::Do(step))
}

fn number(word: &str) -> Result<u32, String> {
    word.parse().map_err(|_| format!("'{word}' is no number"))
}

fn split<'a>(ends: &'a str, by: &str) -> Result<(&'a str, &'a str), String> {
    ends.split_once(by).ok_or_else(|| format!("'{ends}' does not name two ends"))
}

fn pair(ends: &str, clock: fn(u32, u32) -> Clock) -> Result<Step, String> {
    let (one, other) = split(ends, ">")?;
    Ok(Step::Fire(clock(number(one)?, number(other)?)))
}

fn way(ends: &str) -> Result<Way, String> {
    if let Some((from, to)) = ends.split_once("=>") {
        return Ok(Way::Direct(number(from)?, number(to)?));
    }
    let who = |word| match word {
        "controller" => Ok(Who::Controller),
        _ => number(word).map(Who::Member),
    };
    let (from, to) = split(ends, ">")?;
    Ok(Way::Link(who(from)?, who(to)?))
}
