//! Whom to ask, in whose name, and how patiently: the client of a bucket, as the environment describes it.
//!
//! Credentials come from the usual chain: environment, profiles (also by a `credential_process` and by taking on a
//! role), a web identity, the container's or the machine's role. `AWS_ENDPOINT_URL` (or `AWS_ENDPOINT_URL_S3`) names
//! another server than Amazon's; it is then called by path (`http://host/bucket/key`), as few servers have a name for
//! each bucket, unless [`PATH_STYLE`] says otherwise.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{Credentials, StalledStreamProtectionConfig};
use aws_smithy_http_client::{Builder, tls};

use super::super::ObjectFault;

/// How often a request is sent before its failure counts, and a body asked for that ends early.
pub const ATTEMPTS: u32 = 8;
/// The pause before the first repeat, on average half of it; it doubles from one to the next.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long it may take to connect, each time.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a server may be silent before it answers, each time.
const SILENCE: Duration = Duration::from_secs(30);

/// Environment variable: `true` calls buckets by path, `false` by a host name of their own.
pub const PATH_STYLE: &str = "CIRRUS_S3_PATH_STYLE";
/// Environment variables with another server's address.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
/// What a server that is not Amazon's is told, unless the environment says more: it wants some name.
const ANY_REGION: &str = "us-east-1";

/// What a program says instead of its environment.
#[derive(Clone, Default)]
pub struct Settings {
    /// Another server than Amazon's, as `http://host:port`; called by path.
    pub endpoint: Option<String>,
    /// Where the bucket is.
    pub region: Option<String>,
    /// An access key and its secret.
    pub credentials: Option<(String, String)>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A secret is not for logs.
        f.debug_struct("Settings")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// A client, and what is to be said of it when something goes wrong.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) bucket: String,
    pub(super) region: String,
    /// Another server than Amazon's.
    pub(super) endpoint: Option<String>,
}

/// A client by what is set, and else by the environment. Nobody is asked yet but for a region and credentials.
pub(super) async fn connect(bucket: &str, settings: &Settings) -> Result<Connected, ObjectFault> {
    let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(SILENCE).build();
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_PAUSE)
        .with_max_backoff(LONGEST_PAUSE);
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some((key, secret)) = &settings.credentials {
        loader = loader.credentials_provider(Credentials::new(key, secret, None, None, "settings"));
    }
    let config = loader
        .http_client(Builder::new().tls_provider(ring).build_https())
        .timeout_config(timeouts)
        .retry_config(retries)
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(SILENCE).build())
        .load()
        .await;
    let endpoint = settings.endpoint.clone().or_else(|| endpoint(&config));
    let Some(region) = region(&config, endpoint.is_some()) else {
        let text = "which region the bucket is in is not known; set AWS_REGION, or a region in the profile";
        return Err(ObjectFault::Remote(text.to_owned()));
    };
    let by_path = path_style(endpoint.is_some())?;
    let mut s3 = aws_sdk_s3::config::Builder::from(&config)
        .region(Region::new(region.clone()))
        .force_path_style(by_path);
    if let Some(endpoint) = &endpoint {
        s3 = s3.endpoint_url(endpoint);
    }
    Ok(Connected { client: Client::from_conf(s3.build()), bucket: bucket.to_owned(), region, endpoint })
}

fn endpoint(config: &SdkConfig) -> Option<String> {
    let named = |name| std::env::var(name).ok().filter(|url: &String| !url.is_empty());
    ENDPOINTS.into_iter().find_map(named).or_else(|| config.endpoint_url().map(str::to_owned))
}

fn region(config: &SdkConfig, elsewhere: bool) -> Option<String> {
    let known = config.region().map(|region| region.as_ref().to_owned());
    known.or_else(|| elsewhere.then(|| ANY_REGION.to_owned()))
}

fn path_style(elsewhere: bool) -> Result<bool, ObjectFault> {
    match std::env::var(PATH_STYLE).as_deref() {
        Err(_) | Ok("") => Ok(elsewhere),
        Ok("true") => Ok(true),
        Ok("false") => Ok(false),
        Ok(other) => Err(ObjectFault::Remote(format!("{PATH_STYLE} is {other:?}; expected true or false"))),
    }
}

/// The pause before the repeat number `nth`, from 0 on: as the client library's, for what it does not repeat.
pub(super) fn pause(nth: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << nth.min(10)).min(LONGEST_PAUSE)
}
