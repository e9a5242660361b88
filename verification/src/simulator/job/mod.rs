//! Whole jobs with many workers, on one thread, under a virtual clock and seeded faults.
//!
//! A seed decides everything: how large the jobs are, which kinds of faults may strike, and what happens next. Jobs
//! follow one another until the steps are used up. Each has a *safety* phase in which faults strike, and a *healing*
//! phase in which none does any more and the job must end within a bound. All rules are asked after every step.
//! What happened is counted: a campaign in which a kind of fault never struck, or a rule was never put to the test,
//! has shown nothing and fails.

mod swarm;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::Hasher;

use cirrus_core::rule::RuleName;

use crate::cluster::{Action, Cluster, Fault, Setup, Timer, Watch};
use crate::digest::{self, Digest};
use crate::simulator::Random;
use crate::tally::{Broken, Part, Tally};

/// How many steps before the end are shown when something breaks.
const SHOWN: usize = 40;
/// One step in this many is a fault, while faults may strike.
const FAULT_EVERY: u64 = 60;

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Steps taken.
    pub steps: u64,
    /// Jobs that came to their end.
    pub jobs: u64,
    /// Workers of all jobs.
    pub workers: u64,
    /// How often each fault struck.
    pub faults: BTreeMap<Fault, u64>,
    /// The answers of all rules.
    pub tally: Tally,
    /// A digest of everything that happened, in order.
    pub trace: u64,
}

impl Report {
    /// Fault kinds that never struck.
    #[must_use]
    pub fn missing_faults(&self) -> Vec<Fault> {
        Fault::ALL.into_iter().filter(|fault| !self.faults.contains_key(fault)).collect()
    }

    /// Rules that were never put to the test.
    #[must_use]
    pub fn vacuous(&self) -> Vec<(Part, RuleName)> {
        self.tally.vacuous()
    }
}

/// Something that must not be.
#[derive(Clone, Debug)]
pub struct Failed {
    /// At which step.
    pub step: u64,
    /// What was broken; empty when a job did not end.
    pub broken: Vec<Broken>,
    /// What happened last, to read.
    pub last: Vec<String>,
}

/// One job under way.
struct Episode<'a> {
    setup: Setup,
    cluster: Cluster,
    random: &'a mut Random,
    now: u64,
    due: BTreeSet<(u64, Timer)>,
    last: VecDeque<String>,
    faults: bool,
}

/// Runs jobs from `seed` until `steps` steps were taken and the last job has ended.
///
/// # Errors
/// [`Failed`] when a rule is broken or a job does not end.
pub fn run(seed: u64, steps: u64) -> Result<Report, Box<Failed>> {
    let mut report = Report::default();
    let mut random = Random::new(seed);
    let mut trace = Digest::default();
    while report.steps < steps {
        let setup = swarm::setup(&mut random);
        report.workers += u64::from(setup.fleet.slots);
        let mut episode = Episode::new(setup, &mut random);
        episode.run(&mut report, &mut trace)?;
        report.jobs += 1;
    }
    report.trace = trace.finish();
    Ok(report)
}

impl<'a> Episode<'a> {
    fn new(setup: Setup, random: &'a mut Random) -> Self {
        Self {
            cluster: Cluster::new(&setup),
            setup,
            random,
            now: 0,
            due: BTreeSet::new(),
            last: VecDeque::new(),
            faults: true,
        }
    }

    fn run(&mut self, report: &mut Report, trace: &mut Digest) -> Result<(), Box<Failed>> {
        let size = u64::from(self.setup.blocks * self.setup.lease.passes + self.setup.fleet.slots);
        // A block takes about ten steps undisturbed; faults strike for as long as that and as long again.
        let safety = report.steps + size * 20;
        let bound = report.steps + size * 400 + 20_000;
        while !self.cluster.is_over() {
            if self.faults && report.steps >= safety {
                self.faults = false;
                self.cluster.budget.clear();
            }
            let Some(action) = self.choose() else {
                return Err(self.failed(report.steps, Vec::new(), "nothing can happen any more"));
            };
            self.take(&action, report, trace)?;
            if report.steps > bound {
                return Err(self.failed(report.steps, Vec::new(), "the job does not end"));
            }
        }
        Ok(())
    }

    /// What happens next: a timer that is due, now and then a fault, else anything that happens by itself.
    fn choose(&mut self) -> Option<Action> {
        if let Some((at, timer)) = self.next_due()
            && at <= self.now
        {
            self.due.pop_first();
            return Some(Action::Fire(timer));
        }
        if self.faults && self.random.below(FAULT_EVERY) == 0 {
            let all = self.cluster.enabled();
            let faults: Vec<Action> = all.into_iter().filter(|action| action.fault().is_some()).collect();
            // Each kind is as likely as any other, however many ways it can strike.
            let kinds: BTreeSet<Fault> = faults.iter().filter_map(Action::fault).collect();
            if let Some(kind) = self.random.pick(&kinds.into_iter().collect::<Vec<_>>()).copied() {
                let of_kind: Vec<Action> =
                    faults.into_iter().filter(|action| action.fault() == Some(kind)).collect();
                return self.random.pick(&of_kind).copied();
            }
        }
        let mut actions = Vec::new();
        self.cluster.by_itself(&mut actions);
        // Timers fire by the clock.
        actions.retain(|action| !matches!(action, Action::Fire(_)));
        match self.random.pick(&actions).copied() {
            Some(action) => Some(action),
            None => {
                // Nothing is under way: time passes until the next timer.
                let (at, timer) = self.next_due()?;
                self.due.pop_first();
                self.now = self.now.max(at);
                Some(Action::Fire(timer))
            }
        }
    }

    /// The next timer. Once no fault strikes any more, no lease runs out: that would end whatever hangs, and so hide
    /// that it hangs.
    fn next_due(&mut self) -> Option<(u64, Timer)> {
        while let Some((at, timer)) = self.due.first().copied() {
            let hidden = !self.faults && matches!(timer, Timer::Lease(_));
            if self.cluster.timers.contains(&timer) && !hidden {
                return Some((at, timer));
            }
            self.due.pop_first();
        }
        None
    }

    fn take(&mut self, action: &Action, report: &mut Report, trace: &mut Digest) -> Result<(), Box<Failed>> {
        if self.last.len() == SHOWN {
            self.last.pop_front();
        }
        self.last.push_back(format!("{:>6} ms  {}", self.now, self.cluster.describe(action)));
        let mut watch = Watch { tally: Some(&mut report.tally), set: Vec::new() };
        self.cluster.apply(&self.setup, action, &mut watch);
        let set = watch.set;
        for (timer, after) in set {
            self.due.retain(|(_, armed)| *armed != timer);
            self.due.insert((self.now + u64::from(after.0), timer));
        }
        if let Some(fault) = action.fault() {
            *report.faults.entry(fault).or_default() += 1;
            // What arrives late arrives as part of a break or a crash.
            if let Action::CrashWorker(_, kept) | Action::BreakStore(_, kept) = action
                && *kept > 0
            {
                *report.faults.entry(Fault::Late).or_default() += 1;
            }
        }
        self.now += self.random.below(3);
        report.steps += 1;
        trace.write_u64(digest::of(action));
        trace.write_u64(digest::of(&self.cluster.leases));
        let mut broken = self.cluster.broken.clone();
        self.cluster.judge(&self.setup, &mut report.tally, &mut broken);
        if broken.is_empty() { Ok(()) } else { Err(self.failed(report.steps, broken, "a rule is broken")) }
    }

    fn failed(&self, step: u64, broken: Vec<Broken>, what: &str) -> Box<Failed> {
        let setup = &self.setup;
        let mut last: Vec<String> = vec![format!(
            "{} workers, {} blocks, {} passes, {:?}, window {}",
            setup.fleet.slots, setup.blocks, setup.lease.passes, setup.store.staleness, setup.worker.window
        )];
        last.extend(self.last.iter().cloned());
        last.push(what.to_owned());
        last.push(crate::cluster::compact(&format!("{:?}", self.cluster.ledger)));
        if let Some(store) = &self.cluster.store {
            last.push(crate::cluster::compact(&format!("{:?}", store.machine.seats)));
        }
        Box::new(Failed { step, broken, last })
    }
}
