//! What goes wrong between a client and its server, in words: what happened, what was tried, and what to do.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::super::ObjectFault;
use super::client::{ATTEMPTS, Connected};

/// A request was refused because of a condition that it set.
pub(super) const CONDITION_FAILED: u16 = 412;
/// A conditional write met another one; neither is decided.
pub(super) const CONFLICT: u16 = 409;
/// The object ends before the bytes that were asked for.
pub(super) const OUT_OF_RANGE: u16 = 416;

/// The status that a server has answered with, if it has.
pub(super) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

impl Connected {
    /// What has gone wrong.
    pub(super) fn fault<E>(&self, error: SdkError<E, HttpResponse>) -> ObjectFault
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        if let Some(source) = caused_by::<CredentialsError>(&error) {
            return ObjectFault::Remote(no_credentials(source));
        }
        let Some(status) = status(&error) else {
            return ObjectFault::Remote(self.unanswered(&error));
        };
        let region = error.raw_response().and_then(|response| response.headers().get("x-amz-bucket-region"));
        let region = region.map(str::to_owned);
        let code = error.as_service_error().and_then(|error| error.code()).unwrap_or_default().to_owned();
        let message = error.as_service_error().and_then(|error| error.message()).unwrap_or_default();
        match (status, code.as_str()) {
            (404, "NoSuchBucket") => ObjectFault::Remote(format!(
                "there is no bucket {} {}; create it or correct the URL",
                self.bucket,
                self.place()
            )),
            (404, _) => ObjectFault::NotFound,
            (301 | 307, _) | (400, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                ObjectFault::Remote(self.elsewhere(region.as_deref(), message))
            }
            (401 | 403, _) => ObjectFault::Remote(self.refused(status, &code, message)),
            (507, _) => ObjectFault::Full,
            _ => {
                let said = [code.as_str(), message].into_iter().filter(|text| !text.is_empty());
                let said = said.collect::<Vec<_>>().join(", ");
                let repeated = if status == 429 || status >= 500 {
                    format!(
                        ", also when asked again, up to {ATTEMPTS} times; try later, or with fewer workers"
                    )
                } else {
                    String::new()
                };
                ObjectFault::Remote(format!(
                    "the server {} answered {status} ({said}){repeated}",
                    self.place()
                ))
            }
        }
    }

    /// Where the server is.
    pub(super) fn place(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => format!("at {endpoint}"),
            None => format!("in the region {}", self.region),
        }
    }

    fn refused(&self, status: u16, code: &str, message: &str) -> String {
        let hint = match code {
            "InvalidAccessKeyId" | "InvalidClientTokenId" => {
                "the access key is not known there: check AWS_ACCESS_KEY_ID"
            }
            "SignatureDoesNotMatch" => {
                "the secret is not that of the access key: check AWS_SECRET_ACCESS_KEY"
            }
            "ExpiredToken" | "TokenRefreshRequired" => "the credentials have expired: get new ones",
            "RequestTimeTooSkewed" => "this machine's clock is wrong: set it",
            _ => {
                "the credentials in use may not do this to this bucket: check which they are \
                 (AWS_PROFILE, AWS_ACCESS_KEY_ID) and what they may do (s3:GetObject, PutObject, DeleteObject, \
                 ListBucket, AbortMultipartUpload)"
            }
        };
        let said = [code, message].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
        let said = if said.is_empty() { status.to_string() } else { format!("{status}, {said}") };
        format!("access denied {} ({said}); {hint}", self.place())
    }

    fn elsewhere(&self, region: Option<&str>, message: &str) -> String {
        match region {
            Some(region) if region != self.region => format!(
                "the bucket {} is in the region {region}, and {} was asked; set AWS_REGION={region}",
                self.bucket, self.region
            ),
            _ => format!(
                "the bucket {} is not {} ({message}); set AWS_REGION to where it is",
                self.bucket,
                self.place()
            ),
        }
    }

    fn unanswered<E>(&self, error: &SdkError<E, HttpResponse>) -> String
    where
        E: Error + Send + Sync + 'static,
    {
        let cause = innermost(error);
        let what = match error {
            SdkError::TimeoutError(_) => "no answer in time",
            SdkError::DispatchFailure(failure) if failure.is_timeout() => "no answer in time",
            SdkError::DispatchFailure(_) => "cannot be reached",
            SdkError::ResponseError(_) => "gave no answer that can be read",
            _ => return format!("the request cannot be made: {}", DisplayErrorContext(error)),
        };
        let check = match &self.endpoint {
            Some(_) => "does it run, and is AWS_ENDPOINT_URL right?",
            None => "is there a network, and is AWS_REGION right?",
        };
        format!("the server {} {what} ({cause}), tried up to {ATTEMPTS} times; {check}", self.place())
    }
}

fn no_credentials(error: &CredentialsError) -> String {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            "there are no credentials: looked into the environment, the profile, a web identity, the container's and \
             the machine's role; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run \
             `aws configure` (for single sign-on: `aws configure export-credentials --format env`)"
                .to_owned()
        }
        error => {
            format!("the credentials cannot be had: {}; check AWS_PROFILE and what it names", innermost(error))
        }
    }
}

/// The first cause of a kind.
fn caused_by<'a, C: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a C> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<C>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// What the last of the causes says: those above it only say that something went wrong.
pub(super) fn innermost(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
}
