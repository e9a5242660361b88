//! Channels in which one handles the results.

use bytes::Bytes;
use cirrus_core::channel::Missing;
use cirrus_core::controller::Refusal;
use cirrus_core::directory;
use cirrus_transport::Medium;

use super::{Field, Process, all, over_each_medium};
use crate::zip::{Completeness, HandledChannel, HandlerChannel, Zip, ZipError, operator};

over_each_medium! {
    one_has_all_results_and_the_others_hear_that: results;
    there_is_one_handler_at_a_time: one_at_a_time;
    the_next_handler_has_what_was_kept: kept;
    values_that_do_not_fit_are_a_result_by_name: unfit;
}

/// Of several pieces.
const COUNT: usize = 100_000;

fn numbers(count: usize, value: i64) -> Bytes {
    value.to_le_bytes().repeat(count).into()
}

async fn give<M: Medium>(zip: Zip<M>) -> Result<HandledChannel, ZipError> {
    zip.give("sums", operator::sum::<i64>(), Completeness::Survivors).await
}

async fn handle<M: Medium>(zip: Zip<M>) -> Result<HandlerChannel, ZipError> {
    zip.handle("sums", operator::sum::<i64>(), Completeness::Survivors).await
}

async fn handler<M: Medium>(field: &Field<M>) -> (Process, HandlerChannel) {
    field.members(1, handle).await.remove(0)
}

/// The handler is the root, or below others.
async fn results<M: Medium>(field: Field<M>) {
    for first in [true, false] {
        let early = if first { Some(handler(&field).await) } else { None };
        let others = field.members(5, give).await;
        let (process, seat) = match early {
            Some(handler) => handler,
            None => handler(&field).await,
        };
        for round in 1..=3 {
            let tasks = others.iter().map(|(process, channel)| {
                let channel = channel.clone();
                process.run(async move { channel.reduce(numbers(COUNT, round)).await.unwrap() })
            });
            let tasks: Vec<_> = tasks.collect();
            let channel = seat.clone();
            // Nobody's call is answered before the result is here.
            let handles = process.run(async move {
                let giving = channel.reduce(numbers(COUNT, 10));
                let (missing, result) = tokio::join!(giving, channel.result());
                (missing.unwrap(), result.unwrap())
            });
            let (missing, result) = handles.await.unwrap();
            assert_eq!((missing, result.missing), (Missing::default(), Missing::default()));
            assert_eq!(result.members, 6);
            assert_eq!(result.value.into_bytes(), numbers(COUNT, 10 + 5 * round));
            assert!(all(tasks).await.into_iter().all(|missing| missing == Missing::default()));
        }
        let seats = others.iter().map(|(process, channel)| (process, (**channel).clone()));
        for (process, channel) in seats.chain([(&process, (**seat).clone())]) {
            process.run(async move { channel.leave().await.unwrap() }).await.unwrap();
        }
    }
}

async fn one_at_a_time<M: Medium>(field: Field<M>) {
    let (first, seat) = handler(&field).await;
    let second = Process::start();
    let zip = field.zip_with(super::TOKEN);
    let refused = second.run(async move { handle(zip.await?).await }).await.unwrap();
    let Err(ZipError::NotAdmitted { reason, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(reason, directory::Refusal::Channel(Refusal::HandlerTaken));
    first.run(async move { seat.leave().await.unwrap() }).await.unwrap();
    let zip = field.zip_with(super::TOKEN);
    second.run(async move { handle(zip.await?).await }).await.unwrap().unwrap();
}

/// It dies before it has given a value: nobody has the result but the root, unless the next comes before there is one.
async fn kept<M: Medium>(field: Field<M>) {
    let (dies, seat) = handler(&field).await;
    let others = field.members(4, give).await;
    let name = seat.member();
    let tasks = (1..).zip(&others).map(|(value, (process, channel))| {
        let channel = channel.clone();
        process.run(async move { channel.reduce(numbers(COUNT, value)).await.unwrap() })
    });
    let tasks: Vec<_> = tasks.collect();
    drop((dies, seat));
    // The controller may not know yet that it is dead.
    let next = Process::start();
    let seat = loop {
        let zip = field.zip_with(super::TOKEN);
        match next.run(async move { handle(zip.await?).await }).await.unwrap() {
            Ok(seat) => break seat,
            Err(ZipError::NotAdmitted { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    };
    let result = next.run(async move {
        // In the same round, or in the next one that nobody else gives a value to.
        let giving = tokio::spawn({
            let seat = seat.clone();
            async move { seat.reduce(numbers(COUNT, 0)).await }
        });
        let result = seat.result().await.unwrap();
        giving.abort();
        result
    });
    let result = result.await.unwrap();
    let departed = Missing { departed: vec![name], ..Missing::default() };
    assert!([4, 5].contains(&result.members) && result.missing == departed, "{result:?}");
    assert_eq!(result.value.into_bytes(), numbers(COUNT, 10));
    assert!(all(tasks).await.into_iter().all(|missing| missing == departed));
}

async fn unfit<M: Medium>(field: Field<M>) {
    let (process, seat) = handler(&field).await;
    let others = field.members(2, give).await;
    let tasks = others.iter().enumerate().map(|(at, (process, channel))| {
        let channel = channel.clone();
        process.run(async move { channel.reduce(numbers(1 + at, 1)).await.unwrap() })
    });
    let tasks: Vec<_> = tasks.collect();
    let handles = process.run(async move {
        let (missing, result) = tokio::join!(seat.reduce(numbers(1, 1)), seat.result());
        missing.unwrap();
        result.unwrap_err()
    });
    let error = handles.await.unwrap();
    assert!(matches!(error, ZipError::Unfit { .. }), "{error}");
    all(tasks).await;
}
