//! Where a job keeps what only it needs: the store's snapshots, records on their way from worker to worker.
//!
//! Beside the job's result, so that it is where there is room and where other machines see it: on this machine in a
//! [`JobFolder`], in object storage below a name of its own. There nobody can tell whether a job that left something is
//! dead, so what a killed one leaves stays; its name begins with that of the result.

use std::hash::{BuildHasher, RandomState};

use cirrus_runtime::object::{self, ObjectError, Unfinished};

use crate::failure::{Failure, with};
use crate::job_folder::JobFolder;
use crate::place::{folder_of, local, within};

/// A place that is removed with the job.
#[derive(Debug)]
pub(crate) struct Scratch {
    place: String,
    /// On this machine it is a folder.
    folder: Option<JobFolder>,
}

impl Scratch {
    /// Makes one beside `result`.
    pub(crate) fn beside(result: &str) -> Result<Self, Failure> {
        if local(result)?.is_none() {
            let random = format!("job-{:016x}", RandomState::new().hash_one(std::process::id()));
            let result = result.trim_end_matches('/');
            // Beside a whole bucket there is nothing.
            let whole = folder_of(result).ends_with(':');
            let place = if whole { within(result, &random) } else { format!("{result}.{random}") };
            return Ok(Self { place, folder: None });
        }
        let parent = local(folder_of(result))?.unwrap_or_default();
        std::fs::create_dir_all(&parent).map_err(with(parent.display()))?;
        let what = format!("cannot make a folder for the job in {}", parent.display());
        let folder = JobFolder::create_in(&parent).map_err(with(what))?;
        let place = folder.path().to_str().map(str::to_owned);
        let unfit =
            || Failure::Failed(format!("{}: the name is not UTF-8; rename it", folder.path().display()));
        Ok(Self { place: place.ok_or_else(unfit)?, folder: Some(folder) })
    }

    /// A path or URL.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Removes it. Nobody may use it any more.
    pub(crate) async fn remove(self) {
        if self.folder.is_none()
            && let Err(failure) = remove_objects(&self.place).await
        {
            tracing::warn!("{}: what the job needed is left there: {failure:?}", self.place);
        }
    }
}

async fn remove_objects(place: &str) -> Result<(), Failure> {
    let store = object::open(place)?;
    let objects = store.list("").await?;
    for object in objects {
        store.delete(&object.key).await?;
    }
    let left: Result<(), ObjectError> = store.remove_unfinished("", Unfinished::Everybodys).await;
    Ok(left?)
}
