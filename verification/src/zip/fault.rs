//! What may go wrong in a channel.

/// What may go wrong, each with a budget; and choices that are no faults but need a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A process dies.
    Crash,
    /// A process stands still, and its connections past the tree stand. It is not seen to go on again.
    Stop,
    /// A link of the tree breaks.
    Break,
    /// A link of the tree breaks, and its ends cannot reach each other any more, except by relay.
    Block,
    /// A member's connection to the controller breaks.
    BreakControl,
    /// A sender's connection to the root breaks.
    BreakDirect,
    /// A member is declared dead that lives.
    Suspect,
    /// Somebody reports a neighbour that lives.
    Impatient,
    /// Somebody joins.
    Join,
    /// Somebody leaves.
    Leave,
    /// A member nears the end of its life.
    Expire,
    /// The fan-out changes.
    Reshape,
    /// A root says what its rounds have cost: so much that a chain takes the tree's place, or the tree the chain's.
    Pace,
    /// A deadline passes before all have given what they will give.
    Hurry,
    /// The controller dies and is started again.
    Restart,
    /// A machine gets a daemon.
    Daemon,
    /// A member calls the controller and finds nobody.
    Unanswered,
    /// The deadline of one who wants to leave passes before it is done.
    Overdue,
    /// A connection past the tree breaks.
    BreakPipe,
    /// A member is cut off from the controller, and declared dead at once.
    Fence,
    /// Something comes twice past the tree.
    Repeat,
    /// Something overtakes past the tree what was before it.
    Overtake,
}

impl Fault {
    /// All that strike in large channels: what follows a fence comes of other faults there, no connection that keeps
    /// what it promises repeats anything or lets it overtake, and few of them are of machines that all have daemons.
    pub const ALL: [Self; 18] = [
        Self::Crash,
        Self::Stop,
        Self::Break,
        Self::Block,
        Self::BreakControl,
        Self::BreakDirect,
        Self::Suspect,
        Self::Impatient,
        Self::Join,
        Self::Leave,
        Self::Expire,
        Self::Reshape,
        Self::Hurry,
        Self::Restart,
        Self::BreakPipe,
        Self::Unanswered,
        Self::Overdue,
        Self::Daemon,
    ];

    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Stop => "standstill",
            Self::Break => "break of a link",
            Self::Block => "way that is blocked",
            Self::BreakControl => "break of member and controller",
            Self::BreakDirect => "break of sender and root",
            Self::Suspect => "wrong verdict",
            Self::Impatient => "wrong report",
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Expire => "life that nears its end",
            Self::Reshape => "change of fan-out",
            Self::Pace => "change between tree and chain",
            Self::Hurry => "early deadline",
            Self::Restart => "restart of the controller",
            Self::Unanswered => "call to the controller that finds nobody",
            Self::Overdue => "leave that takes too long",
            Self::BreakPipe => "break past the tree",
            Self::Fence => "wrong verdict while cut off",
            Self::Repeat => "repeat",
            Self::Overtake => "overtaking",
            Self::Daemon => "daemon that comes",
        }
    }
}
