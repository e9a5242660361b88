//! What a process counts of its channels, as a Prometheus server reads it.
//!
//! A [`Metrics`] is given to a process by its settings ([`Settings::metrics`](super::Settings)) or to a controller
//! ([`ControllerSpec::metrics`](super::controller::ControllerSpec)). Most of it is counted where machines are stepped, from
//! the same events and effects that a recording has; a process without metrics counts nothing. What each of them means
//! stands in [`TABLE`], and in `docs/observe.md`.

mod directory;
mod seat;
mod server;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use cirrus_protocol::frame::{Frame, HEADER_BYTES};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};

pub(super) use seat::{OfMember, OfMessages, OfShuffle, Seat, kind};
pub use server::MetricsServer;
pub use table::{Row, TABLE};

/// Labels, as many as a metric has.
type Labels<const N: usize> = [(&'static str, String); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Gauges<const N: usize> = Family<Labels<N>, Gauge>;
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// What a process counts. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<All>);

#[derive(Debug)]
struct All {
    registry: Registry,
    seats: Seats,
    controller: OfController,
}

/// Of members.
#[derive(Debug)]
struct Seats {
    seats: Gauges<2>,
    rounds_completed: Counters<2>,
    rounds_aborted: Counters<2>,
    values_missing: Counters<1>,
    calls: Histograms<2>,
    messages_sent: Counters<2>,
    messages_received: Counters<1>,
    held_rounds: Gauges<1>,
    held_rounds_limit: Gauges<1>,
    held_bytes: Gauges<1>,
    assignments: Counters<1>,
    links_made: Counters<1>,
    links_lost: Counters<1>,
    controller_losses: Counters<1>,
    ended: Counters<2>,
    traffic: OfTraffic<1>,
}

/// Of a controller.
#[derive(Debug)]
struct OfController {
    epoch: Gauges<0>,
    channels: Gauges<0>,
    members: Gauges<0>,
    joins: Counters<0>,
    refusals: Counters<0>,
    leaves: Counters<0>,
    deaths: Counters<0>,
    reattaches: Counters<0>,
    assignments: Counters<0>,
    probes: Counters<0>,
    traffic: OfTraffic<0>,
}

/// Of frames on connections.
#[derive(Debug)]
struct OfTraffic<const N: usize> {
    frames_sent: Counters<N>,
    frames_received: Counters<N>,
    bytes_sent: Counters<N>,
    bytes_received: Counters<N>,
}

/// Frames of the connections that carry this.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    frames_sent: Counter,
    frames_received: Counter,
    bytes_sent: Counter,
    bytes_received: Counter,
}

impl Traffic {
    pub(super) fn sent(&self, frame: &Frame) {
        self.frames_sent.inc();
        self.bytes_sent.inc_by((HEADER_BYTES + frame.body.len()) as u64);
    }

    pub(super) fn received(&self, frame: &Frame) {
        self.frames_received.inc();
        self.bytes_received.inc_by((HEADER_BYTES + frame.body.len()) as u64);
    }
}

impl<const N: usize> OfTraffic<N> {
    fn register(registry: &mut Registry, prefix: &'static str) -> Self {
        Self {
            frames_sent: register(registry, prefix, "frames_sent_total"),
            frames_received: register(registry, prefix, "frames_received_total"),
            bytes_sent: register(registry, prefix, "sent_bytes_total"),
            bytes_received: register(registry, prefix, "received_bytes_total"),
        }
    }

    fn of(&self, labels: &Labels<N>) -> Traffic {
        Traffic {
            frames_sent: self.frames_sent.get_or_create_owned(labels),
            frames_received: self.frames_received.get_or_create_owned(labels),
            bytes_sent: self.bytes_sent.get_or_create_owned(labels),
            bytes_received: self.bytes_received.get_or_create_owned(labels),
        }
    }
}

/// Of members, and of their process.
const PROCESS: &str = "cirrus_zip_";
/// Of a controller.
const CONTROLLER: &str = "cirrus_zip_controller_";

/// Registers a metric as the table describes it.
fn register<M: Metric + Clone + Default>(registry: &mut Registry, prefix: &str, name: &str) -> M {
    put(registry, prefix, name, M::default())
}

fn put<M: Metric + Clone>(registry: &mut Registry, prefix: &str, name: &str, metric: M) -> M {
    let name = format!("{prefix}{name}");
    let help = TABLE.iter().find(|row| row.name == name).map_or("", |row| row.help);
    // The library adds the ending of counters.
    let name = name.strip_suffix("_total").unwrap_or(&name);
    // It adds a full stop, too.
    registry.register(name, help.trim_end_matches('.'), metric.clone());
    metric
}

/// From a tenth of a millisecond to a minute.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(1e-4, 2.0, 20))
}

impl Default for All {
    fn default() -> Self {
        let mut registry = Registry::default();
        let seats = Seats::register(&mut registry);
        let controller = OfController::register(&mut registry);
        Self { registry, seats, controller }
    }
}

impl Seats {
    fn register(to: &mut Registry) -> Self {
        let calls = Family::new_with_constructor(seconds as fn() -> Histogram);
        Self {
            seats: register(to, PROCESS, "seats"),
            rounds_completed: register(to, PROCESS, "rounds_completed_total"),
            rounds_aborted: register(to, PROCESS, "rounds_aborted_total"),
            values_missing: register(to, PROCESS, "values_missing_total"),
            calls: put(to, PROCESS, "call_seconds", calls),
            messages_sent: register(to, PROCESS, "messages_sent_total"),
            messages_received: register(to, PROCESS, "messages_received_total"),
            held_rounds: register(to, PROCESS, "held_rounds"),
            held_rounds_limit: register(to, PROCESS, "held_rounds_limit"),
            held_bytes: register(to, PROCESS, "held_bytes"),
            assignments: register(to, PROCESS, "assignments_total"),
            links_made: register(to, PROCESS, "links_made_total"),
            links_lost: register(to, PROCESS, "links_lost_total"),
            controller_losses: register(to, PROCESS, "controller_losses_total"),
            ended: register(to, PROCESS, "seats_ended_total"),
            traffic: OfTraffic::register(to, PROCESS),
        }
    }
}

impl OfController {
    fn register(to: &mut Registry) -> Self {
        Self {
            epoch: register(to, CONTROLLER, "epoch"),
            channels: register(to, CONTROLLER, "channels"),
            members: register(to, CONTROLLER, "members"),
            joins: register(to, CONTROLLER, "joins_total"),
            refusals: register(to, CONTROLLER, "refusals_total"),
            leaves: register(to, CONTROLLER, "leaves_total"),
            deaths: register(to, CONTROLLER, "deaths_total"),
            reattaches: register(to, CONTROLLER, "reattaches_total"),
            assignments: register(to, CONTROLLER, "assignments_total"),
            probes: register(to, CONTROLLER, "probes_total"),
            traffic: OfTraffic::register(to, CONTROLLER),
        }
    }
}

impl Metrics {
    /// All that has been counted so far, in the text format of Prometheus (version 0.0.4). What this process has nothing
    /// of is not in it.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // A string takes whatever is written to it.
        let _ = prometheus_text::encode(&mut text, &self.0.registry);
        text
    }
}
