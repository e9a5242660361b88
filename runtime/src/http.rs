//! A few words over HTTP, for those who watch: `GET` of a path, and a text.
//!
//! A request is read within [`WITHIN`] and answered, one a connection; no more than [`CONNECTIONS_MAX`] are served at a
//! time, further ones wait. What is asked for is not to be kept secret from whoever can connect, and changes nothing.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// How long a connection may take.
pub const WITHIN: Duration = Duration::from_secs(10);
/// Connections at a time.
pub const CONNECTIONS_MAX: usize = 16;

/// Why nobody can watch.
#[derive(Debug, thiserror::Error)]
#[error(
    "/health and /metrics cannot be asked for at {address}: {source}; give a host:port of this machine that is free"
)]
pub struct HttpError {
    /// Where it was to listen.
    pub address: String,
    /// What is wrong.
    pub source: std::io::Error,
}

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
    /// Nothing can be changed here.
    OnlyGet,
}

impl Answer {
    fn into_response(self) -> Response<Full<Bytes>> {
        let plain = "text/plain; charset=utf-8";
        let (status, kind, body) = match self {
            Self::Fine(text) => (StatusCode::OK, plain, text.into()),
            Self::Metrics(text) => (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text.into()),
            Self::Unavailable(text) => (StatusCode::SERVICE_UNAVAILABLE, plain, text.into()),
            Self::NotFound => (StatusCode::NOT_FOUND, plain, "there are /health and /metrics\n".into()),
            Self::OnlyGet => (StatusCode::METHOD_NOT_ALLOWED, plain, "only GET is answered here\n".into()),
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

/// Answers until it is dropped.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl HttpServer {
    /// Listens at `address`, a `host:port`; port 0 is any free one. `answer` is given the path.
    ///
    /// # Errors
    /// [`HttpError`]: the address is none, or taken.
    pub async fn start<F: Future<Output = Answer> + Send + 'static>(
        address: &str,
        answer: impl Fn(String) -> F + Clone + Send + Sync + 'static,
    ) -> Result<Self, HttpError> {
        let error = |source| HttpError { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).await.map_err(error)?;
        let local = listener.local_addr().map_err(error)?;
        Ok(Self { address: local, task: tokio::spawn(serve(listener, answer)) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<F: Future<Output = Answer> + Send + 'static>(
    listener: TcpListener,
    answer: impl Fn(String) -> F + Clone + Send + Sync + 'static,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("who watches over HTTP is not heard: {error}");
                // Out of descriptors, most likely: let some connections end first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let answer = answer.clone();
        connections.spawn(async move {
            let service = service_fn(|request: Request<hyper::body::Incoming>| {
                let reads = [Method::GET, Method::HEAD].contains(request.method());
                let answer = reads.then(|| answer(request.uri().path().to_owned()));
                async move {
                    let answer = match answer {
                        Some(answer) => answer.await,
                        None => Answer::OnlyGet,
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
                Ok(Err(error)) => tracing::debug!("who watches over HTTP: {error}"),
                Err(_) => tracing::debug!("who watches over HTTP asks nothing"),
            }
            drop(place);
        });
    }
}
