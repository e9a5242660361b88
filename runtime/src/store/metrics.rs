//! How a store does, over HTTP: whether it serves, and its counts as text for Prometheus.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::server::{Observation, Observer};
use crate::http::Answer;

/// The counts of a store, as text.
#[must_use]
pub fn text(seen: &Observation) -> String {
    let mut registry = Registry::with_prefix("cirrus_store");
    let Observation { ready, statistics, connections, turned_away } = *seen;
    let gauge = |value: u64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        gauge
    };
    registry.register("ready", "1 while workers may come", gauge(ready.into()));
    registry.register("connections", "Connections at present", gauge(connections));
    registry.register("epoch", "Lives of the store", gauge(statistics.version.epoch.0.into()));
    if let Some(bytes) = resident_bytes() {
        registry.register_with_unit("resident_memory", "Memory of the process", Unit::Bytes, gauge(bytes));
    }
    for (name, help, value) in [
        ("applied", "Updates applied in this life", statistics.applied),
        ("acknowledged", "Updates acknowledged in this life", statistics.acknowledged),
        ("duplicates", "Updates acknowledged that had been applied before", statistics.duplicates),
        ("refused", "Requests refused", statistics.refused),
        ("reads", "Reads served", statistics.reads),
        ("rows", "Rows in the applied updates", statistics.rows),
        ("snapshots", "Snapshots written", statistics.snapshots),
        ("turned_away", "Connections refused: too many, or without the token", turned_away),
    ] {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    }
    let mut text = String::new();
    // Writing into memory does not fail.
    let _ = encode(&mut text, &registry);
    text
}

/// What the process holds in memory, if the system says so.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Answers a request for `/health` or `/metrics`.
pub async fn answer(path: &str, observer: &Observer) -> Answer {
    if !["/health", "/metrics"].contains(&path) {
        return Answer::NotFound;
    }
    match observer.observe().await {
        None => Answer::Unavailable("the store has ended\n"),
        Some(seen) if path == "/metrics" => Answer::Metrics(text(&seen)),
        Some(Observation { ready: true, .. }) => Answer::Fine("ready\n"),
        Some(_) => Answer::Unavailable("not ready\n"),
    }
}
