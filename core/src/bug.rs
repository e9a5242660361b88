//! Seeded bugs: mistakes in the protocol that can be switched on to prove that the checks catch them.
//!
//! They exist only with the feature `seeded-bugs`, which `cirrus-verification` alone turns on. Without it
//! [`Bugs`] is empty and [`Bugs::has`] is a constant `false`, so that nothing of them is left in a product.

/// A mistake somebody could make. Each names, in `cirrus-verification`, the rule that must catch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bug {
    /// The root of a reduce seals a result that was sent to its handler and not taken.
    SealedUntaken,
    /// The root of a reduce hands a result to another handler while the one before may have taken it.
    HandedTwice,
    /// The root of a reduce gives up a result that its handler may have taken.
    UnhandledEarly,
    /// The controller takes a second handler.
    SecondHandlerTaken,
    /// A root leaves while some lack rounds that it has numbered.
    RootLeavesEarly,
    /// A result that comes before there is room for it is not asked for again.
    HandedForgotten,
    /// The controller lets anybody's rounds change the fan-out.
    PaceOfAnybody,
    /// The controller makes a chain of lambdas that may share a machine.
    LambdasChained,
    /// The controller keeps a chain that takes longer than the tree.
    ChainKept,
    /// A root counts others from a boundary on that it passes while it keeps a result for its handler.
    BoundaryWhileKept,
    /// Who handles results and has no room for more does not tell the root, on a new connection, what it has had.
    CollectsLate,
    /// Who handles results leaves before its root knows which ones it has had.
    HandlerLeavesEarly,
    /// A child goes on to send up what it has when its root has all that goes on.
    PullKept,
    /// The controller gives one whose connection has ended as long as one who is silent.
    EndUnnoticed,
    /// Who calls the controller again has no longer to answer than if it had not.
    CallUnheeded,
    /// A restarted controller takes back a handler that has a successor.
    PredecessorStays,
    /// The store does not look whether a gradient's name is recorded.
    DuplicateApplied,
    /// The store acknowledges a gradient that it refuses for want of room.
    RefusedAcknowledged,
    /// The store takes requests of an incarnation that was fenced.
    FencedAccepted,
    /// The store takes requests of one incarnation in the session of another.
    ForeignSession,
    /// The store keeps the clock of a fenced worker.
    DeadClockKept,
    /// The store answers a read one round too early.
    StalenessOffByOne,
    /// The store does not look again at the waiting reads when a worker leaves.
    WaitersForgotten,
    /// The store's snapshot misses the name recorded last.
    SnapshotMissesName,
    /// A restored store goes on in the epoch of its snapshot.
    EpochReused,
    /// The store serves before its new epoch is on disk.
    ServesBeforePersisted,
    /// The store takes requests that were meant for an earlier epoch.
    WrongEpochAccepted,
    /// A request of an earlier connection counts in the new session.
    StaleCallCounted,
    /// The store applies an update without counting it into its version.
    VersionNotCounted,
    /// A snapshot that fails takes the store's version back to the last one on disk.
    FailedSnapshotTakesBack,
    /// A restored store forgets the names that its snapshot covers.
    RestoreForgetsNames,
    /// The leases of a dead worker are never given out again.
    LeaseOfDeadKept,
    /// A pass is called done while a block of it is still being worked on.
    PassEndsEarly,
    /// A report of a block done in an earlier store epoch counts in the new one.
    OldEpochDoneCounts,
    /// After a restore, blocks that the snapshot does not cover count as done.
    RestoreForgetsBlocks,
    /// A grant goes to a worker that was declared gone.
    GrantToDead,
    /// The model of whatever store is there counts as the result.
    AnyModelCounts,
    /// A worker of an earlier life that asks for blocks takes its slot back.
    PredecessorTakenBack,
    /// A block that was given out can be given out again.
    GrantedStaysPending,
    /// Blocks of a dead worker wait until somebody asks again.
    ReturnedNotGiven,
    /// Blocks of a dead worker are lost.
    ReturnedLost,
    /// A worker gets more blocks than it may hold.
    HeldUnbounded,
    /// A worker reports a block done as soon as it has sent the update.
    DoneBeforeAcknowledged,
    /// A worker goes on with an update that it computed in an earlier store epoch.
    OldEpochUpdateSent,
    /// A worker forgets to send an update again when its connection broke.
    UpdateNotResent,
    /// A worker reads on a new connection before it has sent what it computed before the old one broke.
    ReadsBeforeResent,
    /// A worker that has nothing to do keeps its place in the clocks.
    IdleNotParked,
    /// A worker reads further ahead than its window.
    WindowOffByOne,
    /// A worker names the first epoch in its requests, whichever its session is of.
    FirstEpochNamed,
    /// A worker forgets what it has seen when a session begins.
    SeenForgotten,
    /// A worker sends an update under the name of the block that it was granted last.
    UpdateMisnamed,
    /// A slot gets a new process while the old one may still live.
    RelaunchBeforeExit,
    /// A relaunch reuses the incarnation of the process before.
    IncarnationReused,
    /// A failing process is started again at once and for ever.
    NoBackOff,
    /// A process is launched after the job was stopped.
    LaunchAfterStop,
    /// A slot is given up one failure too late.
    GivesUpLate,
    /// Nobody is told of a process's end.
    EndNotFenced,
    /// A stop leaves alone what has not reported yet.
    StopSparesStarting,
    /// The controller does not tell one of those whose neighbour has changed.
    NeighbourNotTold,
    /// The controller keeps its record of a member that is gone.
    RecordKept,
    /// The controller takes whoever names a slot for the member that has it now.
    StrangerHeard,
    /// The controller tells everybody of every change.
    EverybodyTold,
    /// A new root goes on in the term of the one before.
    TermKept,
    /// The controller's roster keeps a member that was declared dead.
    RosterKeepsDead,
    /// A member that was declared dead is not told so.
    FencedNotTold,
    /// The controller does not hear the answer to a probe.
    AnswerIgnored,
    /// The roll leaves out whom somebody misses.
    RollLacksSuspects,
    /// Who is missed on a direct connection is not probed.
    MissingUnheard,
    /// Who misses one that is gone is not told so.
    GoneUntold,
    /// Who asks whether the membership has changed is not answered if only somebody has departed.
    RollSameByStamp,
    /// Two that live and cannot reach each other are left to themselves.
    RelayNever,
    /// A link by relay that is reported is made anew, again and again.
    RelayGivenAgain,
    /// One that nears its end stays above others.
    ExpiringKept,
    /// The last place's member fills a hole, whatever is known of it.
    FillerUnsound,
    /// A second daemon of a machine is taken in.
    SecondDaemonTaken,
    /// A lambda whose machine has a daemon gets a place of its own.
    LambdaBeside,
    /// The lambdas of a machine keep their places when a daemon comes.
    LambdasStay,
    /// Who lodges with a daemon goes with it.
    LodgersForgotten,
    /// When a daemon is dead nobody asks whether its machine is.
    LodgersUnprobed,
    /// A daemon has its lambdas below its children.
    LodgersLast,
    /// A restarted controller gives everybody a place.
    LodgingsForgotten,
    /// A daemon delivers rounds as if it had an application.
    DaemonDelivers,
    /// A daemon counts as one whose value is in a result.
    DaemonCounted,
    /// A daemon is waited for until it is late.
    DaemonLate,
    /// Daemons that have departed are told to the root for ever.
    DepartedDaemonsKept,
    /// A result names a daemon as missing.
    DaemonNamed,
    /// A daemon combines what its lambdas give twice.
    LodgersSummedTwice,
    /// The directory does not look at the token of who wants to join.
    TokenUnseen,
    /// The directory takes what is said in a channel, whichever job it is of that the speaker has shown the token.
    ForeignChannelHeard,
    /// A channel's name leads to the channel of that name, whichever job it is of.
    NamesShared,
    /// A channel takes up whatever kind is asked for.
    KindChanged,
    /// The channels of a job that is closed go on.
    ClosedJobKept,
    /// Who is in a channel when its job is closed is not told.
    ClosedUntold,
    /// With a job, channels of others that have the same name are closed.
    CloseTakesNamesakes,
    /// A channel that begins gets the newest id once more, if the channel that had it is gone.
    ChannelIdReused,
    /// A channel that nobody is in any more is kept.
    EmptyChannelKept,
    /// A job is opened that could not have all it asks for.
    JobOvercommitted,
    /// A restarted directory gives a channel of before a new id.
    TakenUpAnew,
    /// A restarted directory begins a channel for whoever wants to join before the members of before have called.
    NameBegunAnew,
    /// Of two lives of a name the one that is heard of first is taken up.
    OlderNameKept,
    /// Who is in a channel that ended before the restart is not told.
    DisplacedUntold,
    /// A channel of before is taken up however late its members call.
    TakenUpLate,
    /// A channel that was taken up and left is forgotten, and may be taken up again.
    ForgottenInWindow,
    /// Requests to join that had to wait are forgotten.
    WaitingForgotten,
    /// A directory answers before its epoch is on disk.
    AnsweredBeforePersisted,
    /// A restarted directory goes on in the epoch on disk.
    ControllerEpochReused,
    /// A directory that could not write its epoch goes on nevertheless.
    PersistFailureIgnored,
    /// A member stays though the channel has gone on without it.
    LeftBehindStays,
    /// A restarted controller seats its members anew.
    SeatsForgotten,
    /// A restarted controller gives all links new names.
    LinksForgotten,
    /// A restarted controller tells all their seats.
    AllToldAgain,
    /// A restarted controller seats whoever wants to join before its members have called.
    JoinNotHeld,
    /// A restarted controller does not answer who has called the roll meanwhile.
    RollCallLost,
    /// A restarted controller forgets which links go by relay.
    RelayForgotten,
    /// A root goes on counting those whom a restarted controller has not found again.
    RecountIgnored,
    /// A root goes on waiting for the rest of broadcasts when it is not known any more who has departed.
    HalfBroadcastKept,
    /// A member takes an older assignment after a newer one.
    OldAssignmentTaken,
    /// A member goes on with a child that it is not assigned any more.
    StaleChildKept,
    /// A member takes frames on a link that it is not assigned.
    StaleFrameTaken,
    /// A member keeps rounds that nobody needs.
    RoundsNotFreed,
    /// A member does not say again that it wants to leave, to a controller that may not have heard it.
    LeaveLost,
    /// A member that has lost the controller gives up its parent, too.
    LostControllerHangs,
    /// Members that have lost the controller all call it again at the same moment.
    AllCallAtOnce,
    /// A member calls a controller that is not there as often as it can.
    PauseNeverGrows,
    /// A member goes back to an earlier life of the controller.
    EarlierLifeBelieved,
    /// A member that wants to leave waits for as long as it takes.
    DrainsForEver,
    /// A member does not see that a link was closed.
    CloseUnnoticed,
    /// Children are not told that a round is aborted.
    VoidUntold,
    /// A child is sent the round of a new term from where it was in that of an old one.
    CursorKept,
    /// A child is sent a round that was fetched in the place of half another one from the middle.
    FetchedFromMiddle,
    /// A child asks for a round from its start though it has half of it.
    ResumeFromStart,
    /// A member goes on with what a replaced root says.
    OldTermTaken,
    /// A round goes on with the pieces of another that had its number.
    TermsMixed,
    /// A member takes a piece that it has once more.
    PieceTwice,
    /// A member delivers rounds that it is not in.
    OutsiderDelivers,
    /// A member reports though a child of it has not.
    ReportedEarly,
    /// A report that differs from the one before in its floor is not sent, though the term does not go on yet.
    FloorWithheld,
    /// A report that differs from the one before in who has the rounds above the floor is not sent.
    DoneWithheld,
    /// A new root goes on before everybody has reported.
    HalfReportEnough,
    /// A round is let go before everybody has it.
    FloorTooEarly,
    /// The root numbers more rounds than the window allows.
    WindowIgnored,
    /// A root takes what a member sends that was declared dead.
    DepartedHeard,
    /// A root numbers a broadcast again that it has numbered.
    RepeatNumbered,
    /// A sender gives its broadcast to a new root before it knows what goes on.
    ResubmitsEarly,
    /// What a child that is gone had sent is combined nevertheless.
    HalfContributionKept,
    /// Who loses a child after it has sent something up keeps quiet about it.
    SpoiledUntold,
    /// Who has told one root that values differ does not tell the next.
    SpoiledToldOnce,
    /// A member forgets that a child has given up an attempt of which it has not heard itself.
    EarlySpoilForgotten,
    /// Pieces of one attempt are combined with those of another.
    AttemptsMixed,
    /// Values are combined in the reverse order.
    OwnValueLast,
    /// The root seals a result that lacks members.
    SealedWithoutSome,
    /// The controller does not tell a new root who had departed before.
    DepartedForgotten,
    /// The controller does not count whom it does not name to a root.
    DroppedUncounted,
    /// A root does not name who has departed.
    DepartedUnnamed,
    /// A root seals a strict round without one who was counted.
    StrictSealed,
    /// A root lets the controller forget who departed before all have the round that names them.
    NotedTooEarly,
    /// A root names those again whom a round has named.
    NamedAgain,
    /// A member does not tell its application who is missing from a result.
    MissingUntold,
    /// A member that was late is told that its value is in the result.
    LateToldSealed,
    /// A root does not name the late.
    LateUnnamed,
    /// A root seals a round that was cut off, however few values there are.
    QuorumIgnored,
    /// A value that comes in the midst of an attempt that is cut off goes into the rest of it.
    LateMixed,
    /// A member whose own value is lacking keeps quiet about those below.
    BegunUntold,
    /// A call that comes after its round is taken for the next one.
    LateCallKept,
    /// A member takes a thing from another one again.
    ItemTwice,
    /// A member takes what comes although something before it is missing.
    GapTaken,
    /// A member goes on that is left out of a roster though it was in the channel.
    LeftOutStays,
    /// An older roster makes a member forget one who joined after it.
    NewcomerForgotten,
    /// A sender believes that all it has sent on a broken connection has arrived.
    SentBelieved,
    /// A member says that its application has taken what has only arrived.
    TakenEarly,
    /// One that is gone is answered when it calls.
    GoneAnswered,
    /// A sender goes beyond the window.
    CreditIgnored,
    /// Records of another round are given to the application.
    OldRoundTaken,
    /// A sender that is gone counts as if it had ended.
    LostSenderCounted,
    /// Senders are not told of a receiver that is gone.
    LostReceiverUnnamed,
    /// A member waits for one that is gone.
    VerdictIgnored,
    /// Records for a receiver that is gone go to another one.
    RecordRemapped,
    /// Receivers that are gone before a round begins are not numbered in it.
    GoneLeftOut,
    /// An application that waits for room at a receiver is not told that this one is gone.
    RoomUntold,
    /// Who is missed is taken for gone, without a verdict.
    MissedIsGone,
    /// Nobody asks about those of whom nothing comes while their connections stand.
    SilenceTrusted,
    /// It is asked for ever, because of one that is gone.
    GoneAwaited,
    /// Whoever is not in a newer roll is waited for.
    RollUnheeded,
    /// One is waited for of whom the roll of a controller that was started again says nothing.
    UnlistedTrusted,
    /// A shuffle goes on after its member was declared dead.
    FencedGoesOn,
    /// Members that do not hear of a round are in its roster.
    CutIgnored,
    /// The roll is called for each round.
    RollCalledAnew,
    /// One who is told that it was declared dead goes on.
    RefusalIgnored,
    /// A message is delivered with a part of it.
    TornDelivered,
    /// A message is called delivered when it has been sent.
    AnsweredEarly,
    /// Who waits for a message of one who is gone is not told so.
    WaiterForgotten,
    /// Who waits for a message does not look whether its sender lives.
    WaitsBlindly,
    /// The roll is called although the member is known.
    KnownAskedFor,
}

/// Which seeded bug is on: at most one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bugs {
    #[cfg(feature = "seeded-bugs")]
    active: Option<Bug>,
}

impl Bugs {
    /// Switches one bug on.
    #[cfg(feature = "seeded-bugs")]
    #[must_use]
    pub const fn only(bug: Bug) -> Self {
        Self { active: Some(bug) }
    }

    /// Whether this bug is on.
    #[cfg(feature = "seeded-bugs")]
    #[must_use]
    pub fn has(self, bug: Bug) -> bool {
        self.active == Some(bug)
    }

    /// Whether this bug is on: never, in a build without the feature.
    #[cfg(not(feature = "seeded-bugs"))]
    #[must_use]
    pub const fn has(self, _bug: Bug) -> bool {
        false
    }
}
