//! A few words over HTTP, for those who watch: `GET` of a path, and a text.
//!
//! A request is read within [`WITHIN`] and answered, one a connection; no more than [`CONNECTIONS_MAX`] are served at a
//! time, further ones wait. What is asked for is not to be kept secret from whoever can connect, and changes nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a connection may take.
pub const WITHIN: Duration = Duration::from_secs(10);
/// Connections at a time.
pub const CONNECTIONS_MAX: usize = 16;

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All is well.
    Fine(&'static str),
    /// Text for Prometheus.
    Metrics(String),
    /// Come again.
    Unavailable(&'static str),
    /// There is no such page.
    NotFound,
}

impl Answer {
    fn into_response(self) -> Response<Full<Bytes>> {
        let plain = "text/plain; charset=utf-8";
        let (status, kind, body) = match self {
            Self::Fine(text) => (StatusCode::OK, plain, Bytes::from_static(text.as_bytes())),
            Self::Metrics(text) => {
                (StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", text.into())
            }
            Self::Unavailable(text) => {
                (StatusCode::SERVICE_UNAVAILABLE, plain, Bytes::from_static(text.as_bytes()))
            }
            Self::NotFound => {
                (StatusCode::NOT_FOUND, plain, Bytes::from_static(b"GET /health or /metrics\n"))
            }
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }
}

/// Answers requests until it is dropped; connections end with it. `answer` is given the path.
pub async fn serve<F: Future<Output = Answer> + Send + 'static>(
    listener: TcpListener,
    answer: impl Fn(String) -> F + Clone + Send + Sync + 'static,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("a connection for the health endpoint: {error}");
                // Out of descriptors, most likely.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let answer = answer.clone();
        connections.spawn(async move {
            let service = service_fn(|request: Request<hyper::body::Incoming>| {
                let asked = (request.method() == Method::GET).then(|| request.uri().path().to_owned());
                let answer = asked.map(&answer);
                async move {
                    let answer = match answer {
                        Some(answer) => answer.await,
                        None => Answer::NotFound,
                    };
                    Ok::<_, Infallible>(answer.into_response())
                }
            });
            let served = http1::Builder::new()
                .keep_alive(false)
                .max_buf_size(8192)
                .serve_connection(TokioIo::new(stream), service);
            match timeout(WITHIN, served).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::info!("the health endpoint: {error}"),
                Err(_) => tracing::info!("the health endpoint: no request within {} s", WITHIN.as_secs()),
            }
            drop(place);
        });
    }
}
