//! The lines of a script.
//!
//! ```text
//! channel of 7 members, fan-out 2   who is in when the story begins; the channel is one of broadcasts, or else goes on:
//!   ..., 2 a machine                two by two on one machine, with broadcasts
//!   ..., that reduces               it is one of reduces
//!   ..., that reduces by a deadline, 2 are enough
//!   ..., that exchanges messages    from one member to another, past the tree
//! join                              somebody new asks to join
//! daemon of 2                       a daemon asks to join, of the machine of member 2
//! leave 1                           member 1 wants to leave
//! send 2 "3 pieces"                 member 2 broadcasts something of three pieces
//! give 2 "3 pieces"                 member 2 gives a value of three pieces to its next reduce
//! say 1>0 "2 pieces"                member 1 sends a message of two pieces to member 0
//! hear 0<1                          member 0 waits for a message of member 1
//! reshape                           the fan-out becomes larger by one
//! pace                              the root says that rounds take too long in a tree, or in a chain
//! restart                           the controller dies, and is started again without what it knew
//! call 1                            member 1 calls the controller again
//! crash 0                           the process of member 0 dies; what it had sent is lost
//! crash 0 late                      the same, but what it had sent still arrives
//! break 0-1                         the link between 0 and 1 breaks, and what was on it is lost
//! deliver 0>1                       the next message from 0 to 1 arrives, or 1 notices that the link is gone
//! deliver controller>1              the same between the controller and a member
//! deliver 2=>0                      the same on a sender's own connection to the root
//! deliver 1~0                       the same on a connection past the tree; also connect and break
//! connect 1>0                       the call of 1 to its parent 0 arrives; 2=>0 for a sender's to the root
//! fire attach 1>0                   a timer of 1 about its link to 0 fires; also redial
//! fire probe 1                      the controller's timer about member 1; also submission, the root's
//! fire missing 0~1                  a timer of 0 about its connection past the tree to 1; also redial
//! fire deadline                     the time is over that a reduce waits for all
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
    Channel { members: u32, fan_out: u32, sort: Sort, together: u32 },
    /// A step.
    Do(Step),
}

/// What a channel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Broadcast,
    /// Reduces; so many values are enough by a deadline, if there is one.
    Reduce(Option<u32>),
    Messages,
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
    /// A connection past the tree.
    Pipe(u32, u32),
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
    Deadline,
    Missing(u32, u32),
    RedialPipe(u32, u32),
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Join,
    Daemon(u32),
    Leave(u32),
    Send(u32, u32),
    Say(u32, u32, u32),
    HearOf(u32, u32),
    Reshape,
    Pace,
    Restart,
    Call(u32),
    Crash(u32, bool),
    Break(u32, u32),
    BreakPipe(u32, u32),
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
        ["channel", "of", members, "members,", "fan-out", fan_out, together, "a", "machine"] => {
            let (members, fan_out) = (number(members)?, number(fan_out.trim_end_matches(','))?);
            let together = number(together)?;
            return Ok(Line::Channel { members, fan_out, sort: Sort::Broadcast, together });
        }
        ["channel", "of", members, "members,", "fan-out", fan_out, ref rest @ ..] => {
            let (members, fan_out) = (number(members)?, number(fan_out.trim_end_matches(','))?);
            return Ok(Line::Channel { members, fan_out, sort: sort(rest)?, together: 1 });
        }
        ["join"] => Step::Join,
        ["daemon", "of", who] => Step::Daemon(number(who)?),
        ["leave", who] => Step::Leave(number(who)?),
        ["send" | "give", who, many, "piece\"" | "pieces\""] => Step::Send(number(who)?, pieces(many)?),
        ["say", ends, many, "piece\"" | "pieces\""] => {
            let (from, to) = split(ends, ">")?;
            Step::Say(number(from)?, number(to)?, pieces(many)?)
        }
        ["hear", ends] => {
            let (who, of) = split(ends, "<")?;
            Step::HearOf(number(who)?, number(of)?)
        }
        ["reshape"] => Step::Reshape,
        ["pace"] => Step::Pace,
        ["restart"] => Step::Restart,
        ["call", who] => Step::Call(number(who)?),
        ["crash", who] => Step::Crash(number(who)?, false),
        ["crash", who, "late"] => Step::Crash(number(who)?, true),
        ["break", ends] if ends.contains('~') => {
            let (from, to) = split(ends, "~")?;
            Step::BreakPipe(number(from)?, number(to)?)
        }
        ["break", ends] => {
            let (one, other) = split(ends, "-")?;
            Step::Break(number(one)?, number(other)?)
        }
        ["deliver", ends] => Step::Deliver(way(ends)?),
        ["connect", ends] => Step::Connect(way(ends)?),
        ["fire", "attach", ends] => pair(ends, ">", Clock::Attach)?,
        ["fire", "redial", ends] if ends.contains('>') => pair(ends, ">", Clock::Redial)?,
        ["fire", "redial", ends] if ends.contains('~') => pair(ends, "~", Clock::RedialPipe)?,
        ["fire", "missing", ends] => pair(ends, "~", Clock::Missing)?,
        ["fire", "deadline"] => Step::Fire(Clock::Deadline),
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

fn pieces(many: &str) -> Result<u32, String> {
    number(many.trim_start_matches('"'))
}

/// What a channel is for.
fn sort(words: &[&str]) -> Result<Sort, String> {
    match *words {
        [] => Ok(Sort::Broadcast),
        ["that", "reduces"] => Ok(Sort::Reduce(None)),
        ["that", "reduces", "by", "a", "deadline,", quorum, "are", "enough"] => {
            Ok(Sort::Reduce(Some(number(quorum)?)))
        }
        ["that", "exchanges", "messages"] => Ok(Sort::Messages),
        _ => Err("there is no such channel".to_owned()),
    }
}

fn pair(ends: &str, by: &str, clock: fn(u32, u32) -> Clock) -> Result<Step, String> {
    let (one, other) = split(ends, by)?;
    Ok(Step::Fire(clock(number(one)?, number(other)?)))
}

fn way(ends: &str) -> Result<Way, String> {
    if let Some((from, to)) = ends.split_once("=>") {
        return Ok(Way::Direct(number(from)?, number(to)?));
    }
    if let Some((from, to)) = ends.split_once('~') {
        return Ok(Way::Pipe(number(from)?, number(to)?));
    }
    let who = |word| match word {
        "controller" => Ok(Who::Controller),
        _ => number(word).map(Who::Member),
    };
    let (from, to) = split(ends, ">")?;
    Ok(Way::Link(who(from)?, who(to)?))
}
