//! Names of things: one type a concept, never a bare integer.
//!
//! An id is never reused and knows no arithmetic but `next`, which answers `None` instead of wrapping.

/// Declares an id over one integer.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name(pub $inner);

        impl $name {
            /// The id after this one; `None` when there is none left.
            #[must_use]
            pub fn next(self) -> Option<Self> {
                self.0.checked_add(1).map(Self)
            }
        }
    };
}

id!(
    /// A worker's slot in a job. Several processes may fill it one after the other.
    WorkerId(u32)
);
id!(
    /// One life of the process in a slot; a relaunch takes the next.
    Incarnation(u32)
);
id!(
    /// One life of the data store. A store that came back from a snapshot starts the next.
    StoreEpoch(u32)
);
id!(
    /// A request on a connection; replies carry it back. It rises within an incarnation.
    CallId(u64)
);
id!(
    /// One walk over all training blocks, from 0.
    Pass(u32)
);
id!(
    /// How many rounds of read and update a worker has done (stale synchronous parallel's clock).
    Clock(u32)
);

id!(
    /// One life of the controller, the only thing that it keeps on disk. All stamps of a life are above those of
    /// earlier lives.
    ControllerEpoch(u32)
);
id!(
    /// A job: those who share a token, and the names of whose channels are their own.
    JobId(u64)
);
id!(
    /// A place in a channel's tree, counted level by level from the root, which is 0.
    Place(u32)
);
id!(
    /// A broadcast or reduce of a channel, in the order in which members see them, from 1.
    Round(u64)
);
id!(
    /// Which of its own broadcasts a member means, from 1.
    Sequence(u32)
);
id!(
    /// Which of the things that one member gives another over their direct connections, from 0.
    Position(u64)
);
id!(
    /// How many children a place may have, at least 1.
    FanOut(u32)
);

id!(
    /// A machine, whose processes can reach each other at little cost. Whoever starts them knows which it is.
    MachineId(u64)
);

/// What makes the ids of a channel unique and ordered: the controller's life, then a count in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Stamp {
    /// The life of the controller that gave it.
    pub epoch: ControllerEpoch,
    /// Which stamp of this life it is, from 1; 0 is given to nothing.
    pub serial: u32,
}

impl Stamp {
    /// The stamp after this one in the same life; `None` when there is none left.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let serial = self.serial.checked_add(1)?;
        Some(Self { serial, ..self })
    }
}

/// One life of a channel's name, from its first join until its last member is gone. Never given twice, so the ids of
/// members and links need be unique in it alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ChannelId {
    /// Whose it is: nobody who has shown another job's token can mean it.
    pub job: JobId,
    /// When it began.
    pub stamp: Stamp,
}

/// A member's seat in a channel: who sits there, and where its controller finds that out without a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MemberId {
    /// Never given twice.
    pub stamp: Stamp,
    /// The entry of the controller's table; it is used again when the member has left.
    pub slot: u32,
}

/// One edge of a channel's tree, for as long as both its ends stay the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LinkId(pub Stamp);

/// Which of a member's assignments is the newest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AssignmentVersion(pub Stamp);

/// The reign of one root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Term(pub Stamp);

/// The state of a model: updates applied within a store epoch. Ordered, first by epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Version {
    /// The store's life in which it holds.
    pub epoch: StoreEpoch,
    /// Updates applied in this epoch.
    pub count: u64,
}

/// A block of about 8,192 rows: the unit of lease, order, identity and checking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BlockId {
    /// Which partition file, from 0.
    pub partition: u32,
    /// Which block inside it, from 0.
    pub block: u32,
}

/// What makes a gradient the same gradient whoever computed it: the rows it was computed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GradientName {
    /// The pass over the data.
    pub pass: Pass,
    /// The block of rows.
    pub block: BlockId,
    /// Which part of the block, 0 when it covers the whole.
    pub part: u32,
}

/// A span of time that a machine asks its shell to wait, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Millis(pub u32);
