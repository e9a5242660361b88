//! Metrics over HTTP: `GET /metrics` for a Prometheus server, `GET /health` for whoever asks whether the process lives.
//!
//! Nothing secret is said, and nothing is changed by who asks; still it listens only where it is told to.

use std::net::SocketAddr;

use super::Metrics;
use crate::http::{Answer, HttpError, HttpServer};

/// Answers until it is dropped.
#[derive(Debug)]
pub struct MetricsServer(HttpServer);

impl MetricsServer {
    /// Listens at `address`, a `host:port`; port 0 is any free one.
    ///
    /// # Errors
    /// [`HttpError`]: the address is none, or taken.
    pub async fn start(address: &str, metrics: Metrics) -> Result<Self, HttpError> {
        let answer = move |path: String| {
            let answer = match path.as_str() {
                "/metrics" => Answer::Metrics(metrics.render()),
                "/health" => Answer::Fine("ok\n"),
                _ => Answer::NotFound,
            };
            std::future::ready(answer)
        };
        Ok(Self(HttpServer::start(address, answer).await?))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
}
