//! What the user sees while a job runs, and the figures that come of it.

use std::time::Instant;

use cirrus_protocol::job::{BlockReport, Role};
use cirrus_runtime::job::Progress;
use indicatif::ProgressBar;

use crate::command::grouped;
use crate::{Output, progress};

/// What the user sees while a job runs, and the figures that come of it.
pub(crate) struct Display {
    bar: ProgressBar,
    /// Lines that are not part of the bar.
    talks: bool,
    passes: u32,
    blocks: u64,
    done: u64,
    pass: u32,
    of_pass: BlockReport,
    rows: u64,
    alive: u32,
    began: Option<Instant>,
    ended: Instant,
    /// Rows and loss since the curve's last point.
    since: BlockReport,
    curve: Vec<(u64, f64)>,
}

/// How many points a curve has.
const CURVE_POINTS: u64 = 200;

impl Display {
    /// For a job of so many passes over so many blocks.
    pub(crate) fn new(passes: u32, blocks: u64, output: Output) -> Self {
        Self {
            bar: progress::of_blocks(output, blocks * u64::from(passes)),
            talks: !output.quiet,
            passes,
            blocks,
            done: 0,
            pass: 0,
            of_pass: BlockReport::default(),
            rows: 0,
            alive: 0,
            began: None,
            ended: Instant::now(),
            since: BlockReport::default(),
            curve: Vec::new(),
        }
    }

    /// Training begins: the clock runs.
    pub(crate) fn begin(&mut self) {
        self.began.get_or_insert_with(Instant::now);
    }

    /// Training is over: seconds from the first block to the last, and the progressive loss along the rows (how many
    /// rows so far, and the mean loss of the last ones).
    pub(crate) fn finish(&mut self) -> (f64, Vec<(u64, f64)>) {
        self.bar.finish_and_clear();
        (self.seconds(), core::mem::take(&mut self.curve))
    }

    fn seconds(&self) -> f64 {
        self.began.map_or(0.0, |began| self.ended.saturating_duration_since(began).as_secs_f64())
    }

    /// Says a line without disturbing the bar.
    fn say(&self, line: &str) {
        if !self.talks {
            return;
        }
        if self.bar.is_hidden() { eprintln!("{line}") } else { self.bar.println(line) }
    }

    /// Something happened to the job.
    pub(crate) fn happened(&mut self, progress: &Progress) {
        match progress {
            Progress::Launched { role: Role::Worker, .. } => self.alive += 1,
            Progress::Launched { role: Role::Store, .. } => {}
            Progress::Ended { role, slot, how, .. } => {
                let name = match role {
                    Role::Worker => format!("worker {}", slot.0),
                    Role::Store => "the data store".to_owned(),
                };
                if *role == Role::Worker {
                    self.alive = self.alive.saturating_sub(1);
                }
                if self.done < self.bar.length().unwrap_or(0) {
                    self.say(&format!("{name} {how}; it is started again"));
                }
            }
            Progress::StoreReady { epoch, pass, to_do } => {
                self.begin();
                if epoch.0 > 1 {
                    let undone = self.blocks * u64::from(pass.0 + 1) - u64::from(*to_do);
                    self.say(&format!(
                        "the data store is back from its snapshot, in epoch {}; {} blocks of pass {} are to be done",
                        epoch.0,
                        to_do,
                        pass.0 + 1
                    ));
                    self.done = undone;
                }
            }
            Progress::Block { pass, report, .. } => self.block(pass.0, *report),
            Progress::PassDone(_) => {}
        }
    }

    /// A block was learned from.
    pub(crate) fn block(&mut self, pass: u32, report: BlockReport) {
        if pass != self.pass {
            self.pass = pass;
            self.of_pass = BlockReport::default();
        }
        self.done += 1;
        self.rows += report.rows;
        self.ended = Instant::now();
        for sum in [&mut self.of_pass, &mut self.since] {
            sum.rows += report.rows;
            sum.loss_sum += report.loss_sum;
        }
        let total = self.blocks * u64::from(self.passes);
        if self.done * CURVE_POINTS / total > (self.done - 1) * CURVE_POINTS / total {
            self.curve.push((self.rows, self.since.loss_sum / self.since.rows.max(1) as f64));
            self.since = BlockReport::default();
        }
        let rate = self.rows as f64 / self.seconds().max(1e-3);
        let loss = self.of_pass.loss_sum / self.of_pass.rows.max(1) as f64;
        self.bar.set_prefix(format!("pass {}/{}", pass + 1, self.passes));
        let workers = match self.alive {
            0 => String::new(),
            alive => format!(", {alive} workers"),
        };
        self.bar.set_message(format!("loss {loss:.4}, {} rows/s{workers}", grouped(rate as u64)));
        self.bar.set_position(self.done);
        if self.done.is_multiple_of(self.blocks) && self.bar.is_hidden() {
            self.say(&format!(
                "pass {}/{}: loss {loss:.4}, {} rows/s",
                pass + 1,
                self.passes,
                grouped(rate as u64)
            ));
        }
    }
}
