//! Writes: small objects by one request, large ones in parts that go up side by side and appear together.
//!
//! An answer may be lost after the server has done what was asked, and the client library asks again. To put an object
//! twice does no harm; but a conditional put that is done already is refused when it is repeated, as if another writer
//! had won. So each conditional put carries a mark of its own: who is refused looks whether the object that is there
//! has it. Parts whose object did not come to be are removed, whatever happens to the caller.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use tokio::task::JoinSet;

use super::super::{ObjectFault, Unfinished};
use super::S3Folder;
use super::client::{ATTEMPTS, Connected, pause};
use super::fault::{CONDITION_FAILED, CONFLICT, status};

/// Bytes of a part, but for the last one; S3 wants 5 MiB at least.
const PART_BYTES: usize = 8 << 20;
/// From so many bytes on an object goes up in parts.
const IN_PARTS_FROM: usize = 16 << 20;
/// S3 takes no more parts.
const PARTS_MAX: usize = 10_000;
/// Parts of one object on their way at once.
const AT_ONCE: usize = 4;
/// Nobody needs longer for an object: what was begun before is left over.
const LEFT_AFTER: Duration = Duration::from_secs(24 * 3600);
/// The name of the mark among an object's metadata.
const MARK: &str = "cirrus-writer";

/// Whether an object that is there already is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Publish {
    Replace,
    IfAbsent,
}

impl Publish {
    /// The condition, as S3 has it.
    fn if_none_match(self) -> Option<String> {
        (self == Self::IfAbsent).then(|| "*".to_owned())
    }
}

/// A name that no other put has.
fn mark() -> String {
    let random = || RandomState::new().hash_one(SystemTime::now());
    format!("{:08x}-{:016x}{:016x}", std::process::id(), random(), random())
}

/// What came of the last step of a put.
enum Decided {
    Done,
    /// By a condition that may have failed because of this very put.
    Refused,
    /// Another put is at it: nothing is decided.
    Open,
    Fault(ObjectFault),
}

impl S3Folder {
    /// Puts an object.
    pub(super) async fn write(&self, full: &str, bytes: Bytes, publish: Publish) -> Result<(), ObjectFault> {
        let connected = self.connected().await?;
        let put = Put { connected, bucket: &self.bucket, full, mark: mark(), publish };
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(pause(attempt - 1)).await;
            }
            let decided = if bytes.len() < IN_PARTS_FROM {
                put.whole(bytes.clone()).await
            } else {
                put.in_parts(&bytes).await
            };
            match decided {
                Decided::Done => return Ok(()),
                Decided::Refused if put.is_there().await? => return Ok(()),
                Decided::Refused => return Err(ObjectFault::Exists),
                Decided::Open => {}
                Decided::Fault(fault) => return Err(fault),
            }
        }
        let text =
            format!("others put the same object at the same time, {ATTEMPTS} times in a row; try again");
        Err(ObjectFault::Remote(text))
    }

    /// Gives up uploads in parts that were begun right below `folder`.
    pub(super) async fn abort_unfinished(&self, folder: &str, whose: Unfinished) -> Result<(), ObjectFault> {
        let connected = self.connected().await?;
        let start = match self.full(folder).trim_end_matches('/') {
            "" => String::new(),
            start => format!("{start}/"),
        };
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let request = connected.client.list_multipart_uploads().bucket(&self.bucket).prefix(&start);
            let request = request.set_key_marker(key_marker).set_upload_id_marker(id_marker);
            let page = request.send().await.map_err(|error| connected.fault(error))?;
            for upload in page.uploads() {
                let (Some(full), Some(id)) = (upload.key(), upload.upload_id()) else { continue };
                let below = full.strip_prefix(&start).is_some_and(|name| !name.contains('/'));
                let begun = upload.initiated().map(|begun| begun.secs());
                if below && (whose == Unfinished::Everybodys || begun.is_some_and(is_old)) {
                    abort(&connected.client, &self.bucket, full, id).await;
                }
            }
            if page.is_truncated() != Some(true) {
                return Ok(());
            }
            (key_marker, id_marker) =
                (page.next_key_marker().map(str::to_owned), page.next_upload_id_marker().map(str::to_owned));
        }
    }
}

/// Whether a second since 1970 is so long ago that nobody is still at it.
fn is_old(second: i64) -> bool {
    let begun = u64::try_from(second).map(|second| SystemTime::UNIX_EPOCH + Duration::from_secs(second));
    begun.is_ok_and(|begun| begun.elapsed().is_ok_and(|age| age > LEFT_AFTER))
}

/// Gives up an upload. One that cannot be given up now is left to the bucket's rules; its parts are in no object.
async fn abort(client: &Client, bucket: &str, full: &str, id: &str) {
    let aborted = client.abort_multipart_upload().bucket(bucket).key(full).upload_id(id).send().await;
    if let Err(error) = aborted
        && status(&error) != Some(404)
    {
        tracing::warn!("s3://{bucket}/{full}: parts of an upload that failed are left: {error}");
    }
}

/// An upload in parts that is given up unless it is taken to its end, also when its caller stops waiting.
struct Upload {
    client: Client,
    bucket: String,
    full: String,
    id: Option<String>,
}

impl Upload {
    /// Gives it up now.
    async fn give_up(mut self) {
        if let Some(id) = self.id.take() {
            abort(&self.client, &self.bucket, &self.full, &id).await;
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(id) = self.id.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (client, bucket, full) =
                (self.client.clone(), std::mem::take(&mut self.bucket), std::mem::take(&mut self.full));
            runtime.spawn(async move { abort(&client, &bucket, &full, &id).await });
        }
    }
}

/// One put.
struct Put<'a> {
    connected: &'a Connected,
    bucket: &'a str,
    full: &'a str,
    mark: String,
    publish: Publish,
}

impl Put<'_> {
    /// Whether the object that is there is this put's.
    async fn is_there(&self) -> Result<bool, ObjectFault> {
        let found = self.connected.client.head_object().bucket(self.bucket).key(self.full).send().await;
        match found {
            Ok(found) => Ok(found.metadata().and_then(|all| all.get(MARK)) == Some(&self.mark)),
            Err(error) => match self.connected.fault(error) {
                ObjectFault::NotFound => Ok(false),
                fault => Err(fault),
            },
        }
    }

    fn decided<E>(&self, error: aws_sdk_s3::error::SdkError<E>) -> Decided
    where
        E: aws_sdk_s3::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match status(&error) {
            Some(CONDITION_FAILED) => Decided::Refused,
            Some(CONFLICT) if self.publish == Publish::IfAbsent => Decided::Open,
            _ => Decided::Fault(self.connected.fault(error)),
        }
    }

    /// By one request.
    async fn whole(&self, bytes: Bytes) -> Decided {
        let request = self.connected.client.put_object().bucket(self.bucket).key(self.full);
        let request = request.metadata(MARK, &self.mark).set_if_none_match(self.publish.if_none_match());
        match request.body(ByteStream::from(bytes)).send().await {
            Ok(_) => Decided::Done,
            Err(error) => self.decided(error),
        }
    }

    /// In parts, several at once.
    async fn in_parts(&self, bytes: &Bytes) -> Decided {
        let client = &self.connected.client;
        let begun = client.create_multipart_upload().bucket(self.bucket).key(self.full);
        let id = match begun.metadata(MARK, &self.mark).send().await {
            Ok(begun) => begun.upload_id,
            Err(error) => return Decided::Fault(self.connected.fault(error)),
        };
        let upload = Upload {
            client: client.clone(),
            bucket: self.bucket.to_owned(),
            full: self.full.to_owned(),
            id: id.clone(),
        };
        let Some(id) = id else {
            let text = "the server began an upload in parts and gave it no name; use another server";
            return Decided::Fault(ObjectFault::Remote(text.to_owned()));
        };
        let parts = match self.send_parts(&id, bytes).await {
            Ok(parts) => parts,
            Err(fault) => {
                upload.give_up().await;
                return Decided::Fault(fault);
            }
        };
        self.complete(upload, id, parts).await
    }

    async fn complete(&self, mut upload: Upload, id: String, parts: Vec<CompletedPart>) -> Decided {
        let all = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.connected.client.complete_multipart_upload().bucket(self.bucket).key(self.full);
        let request = request.upload_id(id).multipart_upload(all);
        match request.set_if_none_match(self.publish.if_none_match()).send().await {
            Ok(_) => {
                upload.id = None;
                Decided::Done
            }
            Err(error) => {
                let lost = status(&error) == Some(404);
                let decided = self.decided(error);
                // A repeat finds nothing to complete if the lost answer was that it is done.
                if (lost || matches!(decided, Decided::Refused)) && matches!(self.is_there().await, Ok(true))
                {
                    upload.id = None;
                    return Decided::Done;
                }
                upload.give_up().await;
                decided
            }
        }
    }

    async fn send_parts(&self, id: &str, bytes: &Bytes) -> Result<Vec<CompletedPart>, ObjectFault> {
        let length = PART_BYTES.max(bytes.len().div_ceil(PARTS_MAX));
        let mut rest = (1..).zip((0..bytes.len()).step_by(length)).peekable();
        let (mut parts, mut sending) = (Vec::new(), JoinSet::new());
        while rest.peek().is_some() || !sending.is_empty() {
            while sending.len() < AT_ONCE
                && let Some((number, at)) = rest.next()
            {
                let body = ByteStream::from(bytes.slice(at..bytes.len().min(at + length)));
                let request = self.connected.client.upload_part().bucket(self.bucket).key(self.full);
                let request = request.upload_id(id).part_number(number).body(body);
                sending.spawn(async move { (number, request.send().await) });
            }
            let Some(sent) = sending.join_next().await else { break };
            let (number, sent) = sent.map_err(|lost| ObjectFault::Other(std::io::Error::other(lost)))?;
            let sent = sent.map_err(|error| self.connected.fault(error))?;
            let part = CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag);
            // What the library has computed on the way goes with it, so that the server can compare.
            parts.push(part.set_checksum_crc32(sent.checksum_crc32).build());
        }
        parts.sort_by_key(CompletedPart::part_number);
        Ok(parts)
    }
}
