//! Whole sorts in one process: workers are tasks, in channels of their own.

mod folders;
mod whole;

use std::path::Path;
use std::sync::Arc;

use cirrus_protocol::records::{RECORD_BYTES, Record, RecordsManifest};
use tempfile::TempDir;

use super::SortError;
use super::boundary::Boundaries;
use super::exchange::Way;
use super::generate::Recipe;
use super::input::Input;
use super::output::Target;
use super::team::Team;
use super::worker::{Plan, work};
use crate::io::IoThread;
use crate::object::{LocalFolder, ObjectStore};
use crate::pool::WorkPool;
use crate::zip::Zip;

type Store = Arc<dyn ObjectStore>;

fn at(folder: &TempDir, name: &str) -> Store {
    Arc::new(LocalFolder::new(folder.path().join(name)))
}

fn threads() -> (IoThread, Arc<WorkPool>) {
    let pool = WorkPool::new(std::num::NonZeroUsize::new(2).unwrap()).unwrap();
    (IoThread::start().unwrap(), Arc::new(pool))
}

/// Writes records into a folder.
fn generate(recipe: &Recipe, store: &Store) -> RecordsManifest {
    let (io, pool) = threads();
    recipe.write::<SortError>(store, &io, &pool, |_| Ok(())).unwrap()
}

/// All records of a folder, in order.
async fn records(store: &Store) -> Vec<Record> {
    let input = Input::open(store.as_ref()).await.unwrap();
    let mut all = Vec::new();
    for (key, _) in input.files() {
        let bytes = store.get(key).await.unwrap();
        let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
        assert!(rest.is_empty(), "{key}");
        all.extend_from_slice(records);
    }
    all
}

/// Records as a file without a manifest.
fn write(path: &Path, records: &[Record]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, records.concat()).unwrap();
}

/// Sorts with so many workers. What was written before an error is still there.
async fn sort(from: &Store, to: &Store, workers: u32, way: Way) -> Result<Vec<u64>, SortError> {
    let input = Input::open(from.as_ref()).await?;
    let boundaries = Boundaries::sample(from.as_ref(), &input, workers).await?;
    let target = Target::claim(Arc::clone(to)).await?;
    let plan = Arc::new(Plan { input, boundaries, way });
    let zip = Zip::local().await.unwrap();
    let (says, mut said) = tokio::sync::mpsc::channel(workers as usize);
    let mut working = tokio::task::JoinSet::new();
    for _ in 0..workers {
        let (plan, zip, from, to) = (Arc::clone(&plan), zip.clone(), Arc::clone(from), Arc::clone(to));
        let says = says.clone();
        working.spawn(async move {
            let team = Team::join(&zip, "sort", workers, plan.input.bytes()).await.unwrap();
            let exchange = plan.way.open().unwrap();
            let worked = work(&plan, from.as_ref(), &to, &team, exchange.as_ref(), &|_, _| {}).await;
            says.send(worked).await.unwrap();
            // It stays until all are ended: what the first who fails says is why.
            std::future::pending::<()>().await;
            drop(team);
        });
    }
    let mut reports = Vec::new();
    while reports.len() < workers as usize {
        reports.push(said.recv().await.unwrap()?);
    }
    reports.sort_by_key(|report| report.rank);
    let counts = reports.iter().map(super::worker::Report::records).collect();
    target.finish(reports.into_iter().flat_map(|report| report.parts).collect(), true).await?;
    Ok(counts)
}
