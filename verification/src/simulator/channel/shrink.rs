//! A run that fails, cut down to what it takes to fail.
//!
//! What is left out changes nothing else of the plan, since every incident and every message draws its own luck. So a
//! run with fewer incidents, or with fewer members, is that of the same seed; only what follows from them differs.

use std::collections::BTreeSet;

use super::{Asked, Failed, Incident, run, run_noted};

/// No more is tried when runs have taken so many events.
const EVENTS_MAX: u64 = 20_000_000;

/// A smaller run that fails in the same way, with what happened last in it.
#[must_use]
pub fn shrink(asked: &Asked, failed: &Failed) -> (Asked, Box<Failed>) {
    let mut search = Search { asked: asked.clone(), failed: Box::new(failed.clone()), events: 0 };
    search.only(failed.happened.clone());
    search.members();
    search.incidents();
    search.members();
    let Search { asked, failed, .. } = search;
    let failed = run_noted(&asked).err().unwrap_or(failed);
    (asked, failed)
}

struct Search {
    asked: Asked,
    failed: Box<Failed>,
    events: u64,
}

impl Search {
    /// Takes another run if it fails as well.
    fn attempt(&mut self, asked: Asked) -> bool {
        if self.events > EVENTS_MAX {
            return false;
        }
        match run(&asked) {
            Err(failed) => {
                self.events += failed.event;
                let like = failed.is_like(&self.failed);
                if like {
                    self.asked = asked;
                    self.failed = failed;
                }
                like
            }
            Ok(report) => {
                self.events += report.events;
                false
            }
        }
    }

    fn only(&mut self, only: BTreeSet<Incident>) -> bool {
        self.attempt(Asked { only: Some(only), ..self.asked.clone() })
    }

    /// Half of the members, and when that is too few, by smaller and smaller parts.
    fn members(&mut self) {
        let mut part = self.asked.members / 2;
        while part > 0 {
            let members = self.asked.members - part;
            if members == 0 || !self.attempt(Asked { members, ..self.asked.clone() }) {
                part /= 2;
            }
            part = part.min(self.asked.members / 2);
        }
    }

    /// Half of the incidents left out, a quarter, and in the end each alone.
    fn incidents(&mut self) {
        let mut part = self.failed.happened.len().div_ceil(2);
        while part > 0 {
            let all: Vec<Incident> = self.asked.only.iter().flatten().copied().collect();
            let mut dropped = false;
            for chunk in all.chunks(part) {
                let without: BTreeSet<Incident> = self.asked.only.iter().flatten().copied().collect();
                dropped |= self.only(without.into_iter().filter(|it| !chunk.contains(it)).collect());
            }
            part = if part == 1 && dropped { 1 } else { part / 2 };
        }
    }
}
