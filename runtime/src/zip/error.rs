//! Why a call on a channel did not do what it was asked for.

use std::sync::Arc;
use std::time::Duration;

use cirrus_core::channel::{Failure, Missing};
use cirrus_core::directory;
use cirrus_core::ids::{MemberId, Round};
use cirrus_core::{member, messages, shuffle};
use cirrus_protocol::error::FormatError;
use cirrus_transport::TransportError;

/// Why a call ended without what it was for. The channel can be used on, but where the text says that it is over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZipError {
    /// The controller, or the place to listen at, is of no use.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// There is no thread for the members of this process.
    #[error("cannot start a thread for channels: {0}; look at what the system allows this process to have")]
    Thread(std::io::Error),
    /// An address or a channel's name cannot be said.
    #[error("{what}: {source}")]
    Name {
        /// Which.
        what: String,
        /// What is wrong with it.
        source: FormatError,
    },
    /// The controller lets nobody in, or not this one.
    #[error("the controller does not let this process into channel {channel}: {}", why(*reason))]
    NotAdmitted {
        /// The channel.
        channel: Arc<str>,
        /// Why.
        reason: directory::Refusal,
    },
    /// It took too long.
    #[error(
        "{call} in channel {channel} did not end within {after:?}{}; wait longer, or see what became of those members",
        awaited(waits_for)
    )]
    Deadline {
        /// The call.
        call: &'static str,
        /// The channel.
        channel: Arc<str>,
        /// How long it was waited for.
        after: Duration,
        /// Of whom the member itself has not heard what it needs: below it in the tree, or else above.
        waits_for: Vec<MemberId>,
    },
    /// The member was declared dead, and its time in the channel is over.
    #[error(
        "this member was declared dead in channel {channel}, because it was slow or cut off: what it saw last binds nobody; join again"
    )]
    Fenced {
        /// The channel.
        channel: Arc<str>,
    },
    /// The member has left, or its task has ended.
    #[error("this member has left channel {channel}; join again")]
    Left {
        /// The channel.
        channel: Arc<str>,
    },
    /// More calls of this kind are under way than may be, or the channel is for something else.
    #[error("channel {channel} cannot take this call: {reason:?}; let earlier calls end first")]
    NotTaken {
        /// The channel.
        channel: Arc<str>,
        /// Why, in the words of who decides it.
        reason: NotTaken,
    },
    /// A broadcast came to nothing, at everybody.
    #[error("{} was aborted: nobody has the whole of it any more; send it again", broadcast(*round))]
    Aborted {
        /// Which round; `None` of a broadcast of this member, which had not heard of its number.
        round: Option<Round>,
    },
    /// The member's time ended before it knew what became of its call.
    #[error("it is not known what became of the call in channel {channel}: this member's time ended before")]
    Indeterminate {
        /// The channel.
        channel: Arc<str>,
    },
    /// A reduce has no result, at nobody.
    #[error("round {} has no result: {failure:?}, without {}", round.0, names(missing))]
    NoResult {
        /// Which round.
        round: Round,
        /// Why.
        failure: Failure,
        /// Who is missing.
        missing: Missing,
    },
    /// The values of a reduce do not fit each other.
    #[error("round {} has no result: the members' values cannot be combined; give all the same length", round.0)]
    Unfit {
        /// Which round.
        round: Round,
    },
    /// A value is longer than can be sent whole.
    #[error(
        "a value of {bytes} bytes cannot be sent whole, {limit} at most; take an operator that works piece by piece"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest.
        limit: usize,
    },
    /// The round was over before this member gave its value, which is in no result.
    #[error("round {} was over before this member gave its value", round.0)]
    Late {
        /// Which round.
        round: Round,
    },
    /// The other member is not in the channel any more.
    #[error("{} is not in channel {channel} any more", in_words(*member))]
    Gone {
        /// The channel.
        channel: Arc<str>,
        /// The other member.
        member: MemberId,
    },
}

/// Which machine does not take a call, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// The channel's member.
    Member(member::Refusal),
    /// Its messages.
    Messages(messages::Refusal),
    /// Its shuffles.
    Shuffle(shuffle::Refusal),
    /// Too many calls wait here.
    TooMany,
}

/// A member, for people: the controller's life in which it joined, and which of those it was.
#[must_use]
pub fn in_words(member: MemberId) -> String {
    format!("member {}.{}", member.stamp.epoch.0, member.stamp.serial)
}

fn list(members: &[MemberId]) -> String {
    let names: Vec<String> = members.iter().map(|member| in_words(*member)).collect();
    names.join(", ")
}

fn awaited(members: &[MemberId]) -> String {
    if members.is_empty() { String::new() } else { format!(": it waits for {}", list(members)) }
}

fn broadcast(round: Option<Round>) -> String {
    round.map_or_else(|| "the broadcast".to_owned(), |round| format!("round {}", round.0))
}

/// Who is missing from a result, for people.
#[must_use]
pub fn names(missing: &Missing) -> String {
    let all: Vec<MemberId> = missing.late.iter().chain(&missing.departed).copied().collect();
    match (all.is_empty(), missing.more) {
        (true, 0) => "nobody".to_owned(),
        (false, 0) => list(&all),
        (_, more) => format!("{} and {more} more", list(&all)),
    }
}

fn why(reason: directory::Refusal) -> String {
    use directory::Refusal;
    let text = match reason {
        Refusal::UnknownJob => "it knows no such job",
        Refusal::WrongToken => "that is not the job's token",
        Refusal::UnknownChannel => "the job has no such channel",
        Refusal::WrongKind => "the channel is for something else; take another name",
        Refusal::TooManyChannels => "the job has as many channels as it may; leave some, or raise its limit",
        Refusal::TooManyJobs | Refusal::NoRoom | Refusal::JobOpen => "the job cannot be opened",
        Refusal::Recovering => "it was restarted, and waits for members of before; try again",
        Refusal::Channel(cirrus_core::controller::Refusal::Full) => {
            "the channel has as many members as it may; raise the job's limit"
        }
        Refusal::Channel(cirrus_core::controller::Refusal::IdsExhausted) => {
            "it has given all its ids; restart it"
        }
        Refusal::Channel(cirrus_core::controller::Refusal::SecondDaemon) => {
            "the machine has a daemon in this channel, or had one that is not known to be gone; try again later"
        }
        Refusal::Channel(cirrus_core::controller::Refusal::HandlerTaken) => {
            "the results are for another member, or were for one that is not known to be gone; try again later"
        }
    };
    text.to_owned()
}

/// Says why somebody who called was not let in. Who has just gone away is nothing to be told of.
pub(super) fn log_stranger(error: &TransportError) {
    match error {
        TransportError::Unasked { .. } | TransportError::Broken { .. } => tracing::debug!("{error}"),
        _ => tracing::warn!("{error}"),
    }
}
