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

/// A way to do it: the order, and how each of the peers does it.
pub(super) struct Way {
    pub(super) order: &'static str,
    pub(super) redis: &'static str,
    pub(super) gloo: &'static str,
    pub(super) mpi: &'static str,
}

impl Way {
    const fn new(order: &'static str, redis: &'static str, gloo: &'static str, mpi: &'static str) -> Self {
        Self { order, redis, gloo, mpi }
    }
}

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
        const BROADCAST: [Way; 2] = [
            Way::new(
                "confirmed broadcast",
                "PUBLISH, and the sender hears",
                "broadcast and barrier",
                "MPI_Bcast and MPI_Barrier",
            ),
            Way::new(
                "broadcast",
                "PUBLISH, rounds run ahead",
                "broadcast, rounds run ahead",
                "MPI_Bcast, rounds run ahead",
            ),
        ];
        const ALL_REDUCE: [Way; 1] =
            [Way::new("all-reduce", "RPUSH, BLMPOP, numpy, PUBLISH", "allreduce", "MPI_Allreduce")];
        const REDUCE: [Way; 2] = [
            Way::new(
                "confirmed reduce",
                "RPUSH, BLMPOP, numpy, all hear",
                "reduce, all hear by broadcast",
                "MPI_Reduce, all hear by MPI_Bcast",
            ),
            Way::new(
                "reduce",
                "RPUSH, BLMPOP, numpy, rounds run ahead",
                "reduce, rounds run ahead",
                "MPI_Reduce, rounds run ahead",
            ),
        ];
        const SHUFFLE: [Way; 1] = [Way::new(
            "shuffle",
            "numpy, RPUSH, BLPOP",
            "numpy, all_to_all",
            "numpy, MPI_Alltoall, MPI_Alltoallv",
        )];
        const EXCHANGE: [Way; 1] =
            [Way::new("exchange", "RPUSH, BLPOP", "all_to_all", "MPI_Alltoall, MPI_Alltoallv")];
        match self.plain() {
            Self::Broadcast => &BROADCAST,
            Self::AllReduce => &ALL_REDUCE,
            Self::Reduce => &REDUCE,
            Self::Shuffle => &SHUFFLE,
            Self::Exchange => &EXCHANGE,
            Self::BroadcastBorn | Self::BroadcastRead | Self::AllReduceBorn | Self::ReduceBorn => &[],
        }
    }
}
