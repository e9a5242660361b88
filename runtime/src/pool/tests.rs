//! Order, bounds and panics of the pool.

use super::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn pool(threads: usize) -> Arc<WorkPool> {
    Arc::new(WorkPool::new(NonZeroUsize::new(threads).unwrap()).unwrap())
}

fn window(size: usize) -> NonZeroUsize {
    NonZeroUsize::new(size).unwrap()
}

#[test]
fn results_come_in_the_order_of_the_items_however_jobs_end() {
    let pool = pool(3);
    // Each even item ends after the odd one behind it.
    let odd_ended: Arc<Vec<AtomicBool>> = Arc::new((0..50).map(|_| AtomicBool::new(false)).collect());
    let results: Vec<usize> = pool
        .map_ordered(0..100_usize, window(4), move |item| {
            if item % 2 == 1 {
                odd_ended[item / 2].store(true, Ordering::SeqCst);
            }
            while !odd_ended[item / 2].load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            item * 10
        })
        .map(Result::unwrap)
        .collect();
    assert_eq!(results, (0..100).map(|item| item * 10).collect::<Vec<_>>());
}

#[test]
fn a_slow_consumer_stops_the_source() {
    let pool = pool(2);
    let drawn = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&drawn);
    let source = (0..1000).inspect(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let mut results = pool.map_ordered(source, window(5), |item| item);
    for yielded in 0..20 {
        assert_eq!(results.next(), Some(Ok(yielded)));
        let ahead = drawn.load(Ordering::SeqCst) - usize::try_from(yielded).unwrap();
        assert!(ahead <= 5, "{ahead} drawn ahead");
    }
}

#[test]
fn no_more_jobs_run_at_once_than_there_are_threads() {
    let pool = pool(2);
    let (running, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let results = pool.map_ordered(0..200, window(16), move |_| {
        seen.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::yield_now();
        running.fetch_sub(1, Ordering::SeqCst);
    });
    assert_eq!(results.count(), 200);
    assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
}

#[test]
fn a_panic_ends_its_job_alone() {
    let pool = pool(1);
    let results: Vec<_> = pool
        .map_ordered(0..3, window(2), |item| {
            assert!(item != 1, "item {item} is bad");
            item
        })
        .collect();
    assert_eq!(results, [Ok(0), Err(JobPanicked("item 1 is bad".to_owned())), Ok(2)]);
}

#[tokio::test]
async fn single_jobs_are_awaited_and_run_on_named_threads() {
    let pool = pool(2);
    let name = pool.run(|| std::thread::current().name().map(str::to_owned)).await.unwrap();
    assert!(name.is_some_and(|name| name.starts_with("cirrus-work-")));
    let failed: Result<(), JobPanicked> = pool.run(|| std::panic::panic_any("plain text")).await;
    assert_eq!(failed, Err(JobPanicked("plain text".to_owned())));
}

#[test]
fn dropping_the_pool_finishes_what_was_handed_in() {
    let pool = WorkPool::new(window(2)).unwrap();
    let done = Arc::new(AtomicUsize::new(0));
    for _ in 0..50 {
        let done = Arc::clone(&done);
        drop(pool.run(move || done.fetch_add(1, Ordering::SeqCst)));
    }
    drop(pool);
    assert_eq!(done.load(Ordering::SeqCst), 50);
}
