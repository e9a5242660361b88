//! Machines: a daemon has one place for all lambdas of its own.
//!
//! ```text
//!        0                     0                     0
//!      /   \     a daemon    /   \    it dies      /   \
//!     a     2    comes      D~~a~b  2             a     2        a and b keep who they are
//!    /                     /                     / \
//!   b                     3                     3   b
//! ```
//!
//! A lambda of a machine that has a daemon lodges with it; all others have places of their own. So a daemon that comes
//! takes the place of one of its lambdas, the one next to the root, and the others move in: their holes are filled as if
//! they had departed. When it goes, the first of its lambdas has its place, and the others join at the end. Nobody's
//! identity changes, so the rounds go on as over any other change of neighbours.
//!
//! Whoever misses a daemon may miss its machine: when it is declared dead, its lambdas are asked whether they are there
//! (M3). A second daemon of a machine is refused as long as the first is not known to be gone.

pub mod rules;

use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use super::{Channel, Config, Effect, Record};
use crate::bug::Bug;
use crate::channel::{Role, Tenancy};
use crate::ids::{AssignmentVersion, MachineId, MemberId, Place};
use crate::machine::Effects;

/// Somebody who wants to join.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Newcomer<A> {
    /// Where it listens.
    pub address: A,
    /// What it does in a shuffle.
    pub role: Role,
    /// Who it is on its machine.
    pub tenancy: Tenancy,
}

impl<A> Record<A> {
    /// That of a newcomer.
    pub(super) fn new(member: MemberId, newcomer: Newcomer<A>) -> Self {
        let Newcomer { address, role, tenancy } = newcomer;
        let version = AssignmentVersion::default();
        Self { member, address, role, tenancy, version, probe: None, expiring: false }
    }
}

impl<A: Clone + Debug + Eq + Hash> Channel<A> {
    /// The daemon of a machine that has one.
    #[must_use]
    pub fn daemon(&self, machine: MachineId) -> Option<MemberId> {
        self.daemons.get(&machine).copied()
    }

    /// Gives a newcomer its place, or its lodging. `None` if too few stamps are left.
    pub(super) fn settle_in(
        &mut self,
        config: &Config,
        tenancy: Tenancy,
        told: &mut Vec<MemberId>,
    ) -> Option<MemberId> {
        let daemon = match tenancy {
            Tenancy::Daemon(machine) => {
                let daemon = self.move_lambdas_in(config, machine, told)?;
                self.daemons.insert(machine, daemon);
                return Some(daemon);
            }
            Tenancy::Lambda(machine) => self.daemon(machine),
        };
        match daemon.filter(|_| !config.bugs.has(Bug::LambdaBeside)) {
            Some(daemon) => self.tree.lodge(daemon, told),
            None => self.take_last(told),
        }
    }

    /// A newcomer sits down at the end.
    fn take_last(&mut self, told: &mut Vec<MemberId>) -> Option<MemberId> {
        let member = self.tree.join(told)?;
        // Who nears its end and gets a child leaves it its place.
        let above = self.tree.parent(member).map(|edge| edge.member);
        if let Some(above) = above.filter(|above| self.record(*above).is_some_and(|it| it.expiring)) {
            let _ = self.tree.swap(above, member, told);
        }
        Some(member)
    }

    /// A daemon comes: the lambdas of its machine move in. All of them are looked through, once for each daemon.
    fn move_lambdas_in(
        &mut self,
        config: &Config,
        machine: MachineId,
        told: &mut Vec<MemberId>,
    ) -> Option<MemberId> {
        let lambdas = self.records.iter().flatten().filter(|it| it.tenancy == Tenancy::Lambda(machine));
        let seated = lambdas.filter_map(|it| Some((self.tree.place(it.member)?, it.member)));
        let mut seated: Vec<(Place, MemberId)> = seated.collect();
        seated.sort_unstable();
        // Each needs no more than a swap and a departure do.
        let each = self.tree.fan_out().0.saturating_mul(3).saturating_add(8);
        let many = u32::try_from(seated.len()).unwrap_or(u32::MAX).saturating_add(1);
        if self.tree.stamps_left() < each.saturating_mul(many) {
            return None;
        }
        let first = seated.first().filter(|_| !config.bugs.has(Bug::LambdasStay));
        let Some((_, first)) = first else { return self.take_last(told) };
        let daemon = self.tree.replace(*first, told)?;
        // From the end on, so that none of them fills the hole of another one.
        for (_, lambda) in seated.iter().skip(1).rev() {
            self.offer_filler(config, *lambda, told);
            let _ = self.tree.move_in(*lambda, daemon, told);
        }
        Some(daemon)
    }

    /// A host has gone: those of its lodgers that near their end leave the places with children to others.
    pub(super) fn move_down(&mut self, config: &Config, lodgers: &[MemberId], told: &mut Vec<MemberId>) {
        for lodger in lodgers {
            let expires = self.record(*lodger).is_some_and(|record| record.expiring);
            if expires
                && self.tree.children(*lodger).next().is_some()
                && let Some(leaf) = self.sound_leaf(config, *lodger)
            {
                let _ = self.tree.swap(*lodger, leaf, told);
            }
        }
    }

    /// M3: a daemon is dead, and its machine may be.
    pub(super) fn probe_machine(
        &mut self,
        config: &Config,
        lodgers: &[MemberId],
        out: &mut impl Effects<Effect<A>>,
    ) {
        if !config.bugs.has(Bug::LodgersUnprobed) {
            for lodger in lodgers {
                self.probe(config, *lodger, out);
            }
        }
    }
}
