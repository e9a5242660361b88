//! What is measured beside peers, and how each of them does it.

/// Numbers that each process shuffles, in bytes.
const NUMBERS: usize = 8_000_000;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Broadcast,
    AllReduce,
    Reduce,
    Shuffle,
    Exchange,
    BroadcastBorn,
    BroadcastRead,
    AllReduceBorn,
    ReduceBorn,
}

/// A way to do it: the order, how Redis does it, and how Open MPI does it.
pub(super) type Way = (&'static str, &'static str, &'static str);

impl Work {
    pub(super) const ALL: [Self; 5] =
        [Self::Broadcast, Self::AllReduce, Self::Reduce, Self::Shuffle, Self::Exchange];
    /// Where ours have a daemon: the shuffles go past it.
    pub(super) const SHARED: [Self; 7] = [
        Self::Broadcast,
        Self::BroadcastRead,
        Self::BroadcastBorn,
        Self::AllReduce,
        Self::AllReduceBorn,
        Self::Reduce,
        Self::ReduceBorn,
    ];

    /// What it is for others.
    pub(super) fn plain(self) -> Self {
        match self {
            Self::BroadcastBorn | Self::BroadcastRead => Self::Broadcast,
            Self::AllReduceBorn => Self::AllReduce,
            Self::ReduceBorn => Self::Reduce,
            plain => plain,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::AllReduce => "all-reduce",
            Self::Reduce => "reduce (one gets the result)",
            Self::Shuffle => "shuffle of 1 M i64 each, partitioning included",
            Self::Exchange => "shuffle of 1 M i64 each, partitioned before",
            Self::BroadcastBorn => "broadcast, ours born in shared memory",
            Self::BroadcastRead => "broadcast, our receivers read every page",
            Self::AllReduceBorn => "all-reduce, ours born in shared memory",
            Self::ReduceBorn => "reduce (one gets the result), ours born in shared memory",
        }
    }

    /// Bytes in each process and rounds.
    pub(super) fn sizes(self, large: usize) -> Vec<(usize, u32)> {
        match self {
            Self::Broadcast | Self::AllReduce | Self::Reduce => vec![(100, 500), (large, 3)],
            Self::Shuffle | Self::Exchange => vec![(NUMBERS, 3)],
            Self::BroadcastBorn | Self::BroadcastRead | Self::AllReduceBorn | Self::ReduceBorn => {
                vec![(large, 3)]
            }
        }
    }

    /// What our members are told, and what they do.
    pub(super) fn ours(self) -> (&'static str, &'static str) {
        match self {
            Self::Broadcast => ("broadcast", "send and receive; the sender knows that all have it"),
            Self::AllReduce => ("all-reduce", "all_reduce"),
            Self::Reduce => ("reduce", "give and handle; all know that one has it"),
            Self::Shuffle => ("shuffle", "shuffle"),
            Self::Exchange => ("exchange", "shuffle"),
            Self::BroadcastBorn => {
                ("broadcast:born", "send an array; receive; the sender knows that all have it")
            }
            Self::BroadcastRead => ("broadcast:read", "send and receive; the sender knows that all have it"),
            Self::AllReduceBorn => ("all-reduce:born", "all_reduce of an array"),
            Self::ReduceBorn => ("reduce:born", "give an array, and handle; all know that one has it"),
        }
    }

    pub(super) fn ways(self) -> &'static [Way] {
        match self.plain() {
            Self::Broadcast => &[
                ("confirmed broadcast", "PUBLISH, and the sender hears", "MPI_Bcast and MPI_Barrier"),
                ("broadcast", "PUBLISH, rounds run ahead", "MPI_Bcast, rounds run ahead"),
            ],
            Self::AllReduce => &[("all-reduce", "RPUSH, BLMPOP, numpy, PUBLISH", "MPI_Allreduce")],
            Self::Reduce => &[
                ("confirmed reduce", "RPUSH, BLMPOP, numpy, all hear", "MPI_Reduce, all hear by MPI_Bcast"),
                ("reduce", "RPUSH, BLMPOP, numpy, rounds run ahead", "MPI_Reduce, rounds run ahead"),
            ],
            Self::Shuffle => &[("shuffle", "numpy, RPUSH, BLPOP", "numpy, MPI_Alltoall, MPI_Alltoallv")],
            Self::Exchange => &[("exchange", "RPUSH, BLPOP", "MPI_Alltoall, MPI_Alltoallv")],
            Self::BroadcastBorn | Self::BroadcastRead | Self::AllReduceBorn | Self::ReduceBorn => &[],
        }
    }
}
