//! What the tree of a channel costs, one operation at a time, in channels of 10 to 1,000,000 members.
//!
//!     cargo bench -p cirrus-benches --bench tree
//!
//! It begins with how fast a channel fills from nothing.

use std::hint::black_box;
use std::time::{Duration, Instant};

use cirrus_core::ids::{ControllerEpoch, FanOut, MemberId, Place};
use cirrus_core::tree::Tree;
use criterion::{BenchmarkId, Criterion};

/// Fan-out of all trees here.
const FAN_OUT: FanOut = FanOut(4);
/// Members of the channels that are measured.
const SIZES: [u32; 3] = [10, 10_000, 1_000_000];
/// Operations between two looks at the clock.
const BATCH: u32 = 1_000;
/// How often a channel is filled from nothing; the fastest is printed.
const FILLS: u32 = 5;

/// A small generator (splitmix64): the same places in every run.
struct Places(u64);

impl Places {
    /// A number below `limit`.
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * u128::from(limit)) >> 64) as u32
    }

    /// A member with children.
    fn inner(&mut self, tree: &Tree) -> MemberId {
        let inner = (tree.len() - 2) / FAN_OUT.0 + 1;
        tree.member(Place(self.below(inner))).expect("the place is taken")
    }
}

/// A tree of so many members.
fn grown(members: u32, told: &mut Vec<MemberId>) -> Tree {
    let mut tree = Tree::new(ControllerEpoch(1), FAN_OUT);
    for _ in 0..members {
        told.clear();
        tree.join(told).expect("stamps are left");
    }
    tree
}

/// What is done to a tree.
type Operation = fn(&mut Tree, &mut Places, &mut Vec<MemberId>);

/// A new member.
fn join(tree: &mut Tree, _: &mut Places, told: &mut Vec<MemberId>) {
    tree.join(told).expect("stamps are left");
}

/// The member of the last place goes.
fn leave_last(tree: &mut Tree, _: &mut Places, told: &mut Vec<MemberId>) {
    let last = tree.member(Place(tree.len() - 1)).expect("the place is taken");
    assert!(tree.leave(last, told));
}

/// A member with children goes.
fn leave(tree: &mut Tree, places: &mut Places, told: &mut Vec<MemberId>) {
    let gone = places.inner(tree);
    assert!(tree.leave(gone, told));
}

/// A member with children dies, and another joins.
fn repair(tree: &mut Tree, places: &mut Places, told: &mut Vec<MemberId>) {
    leave(tree, places, told);
    join(tree, places, told);
}

/// Two members with children, or one alone by chance, change places.
fn swap(tree: &mut Tree, places: &mut Places, told: &mut Vec<MemberId>) {
    let (a, b) = (places.inner(tree), places.inner(tree));
    black_box(tree.swap(a, b, told));
}

/// Nothing to restore.
fn nothing(_: &mut Tree, _: &mut Places, _: &mut Vec<MemberId>) {}

/// Channels of one size. Of small ones there are many, so that one batch can change each of them by a few members.
struct Channels {
    members: u32,
    /// Operations on each between two looks at the clock.
    share: u32,
    trees: Vec<Tree>,
    places: Places,
    told: Vec<MemberId>,
}

impl Channels {
    fn new(members: u32) -> Self {
        let share = (members / 2).min(BATCH);
        let mut told = Vec::with_capacity(64);
        let trees = (0..BATCH / share).map(|_| grown(members, &mut told)).collect();
        Self { members, share, trees, places: Places(1), told }
    }

    /// Does something to every tree, once for each of its share.
    fn each(&mut self, operation: Operation) {
        for tree in &mut self.trees {
            for _ in 0..self.share {
                self.told.clear();
                operation(tree, &mut self.places, &mut self.told);
                black_box(&self.told);
            }
        }
    }

    /// How long so many operations take. `restore` undoes what an operation does to the size; its time does not
    /// count.
    fn time(&mut self, operations: u64, operation: Operation, restore: Operation) -> Duration {
        let batches = operations.div_ceil(u64::from(BATCH));
        let mut total = Duration::ZERO;
        for _ in 0..batches {
            let start = Instant::now();
            self.each(operation);
            total += start.elapsed();
            self.each(restore);
            for tree in &mut self.trees {
                if tree.stamps_left() < 1 << 20 {
                    *tree = grown(self.members, &mut self.told);
                }
            }
        }
        total.mul_f64(operations as f64 / (batches * u64::from(BATCH)) as f64)
    }
}

/// Prints how fast a channel fills.
fn fill(members: u32) {
    let mut told = Vec::with_capacity(64);
    let once = |told: &mut Vec<MemberId>| {
        let start = Instant::now();
        black_box(grown(members, told));
        start.elapsed().as_secs_f64()
    };
    let fastest = (0..FILLS).map(|_| once(&mut told)).fold(f64::INFINITY, f64::min);
    let millions = f64::from(members) / fastest / 1e6;
    println!("fill a channel with {members} members: {:.1} us, {millions:.1} M joins/s", fastest * 1e6);
}

/// Every operation in every size.
fn operations(criterion: &mut Criterion) {
    let cases: [(&str, Operation, Operation); 4] = [
        ("join", join, leave_last),
        ("leave", leave, join),
        ("repair", repair, nothing),
        ("swap", swap, nothing),
    ];
    for (name, operation, restore) in cases {
        let mut group = criterion.benchmark_group(name);
        for members in SIZES {
            let mut channels = Channels::new(members);
            group.bench_function(BenchmarkId::from_parameter(members), |bencher| {
                bencher.iter_custom(|operations| channels.time(operations, operation, restore));
            });
        }
        group.finish();
    }
}

fn main() {
    println!("fan-out {}", FAN_OUT.0);
    SIZES.into_iter().for_each(fill);
    let mut criterion = Criterion::default().configure_from_args();
    operations(&mut criterion);
    criterion.final_summary();
}
