//! Values side by side.

use bytes::Bytes;
use cirrus_core::channel::Missing;
use cirrus_core::ids::MemberId;
use cirrus_transport::Medium;

use super::{Field, Process, all, over_each_medium};
use crate::zip::{Completeness, GatherChannel, Zip};

/// More than a piece of a value that may be cut.
const LARGE: usize = 300_000;

over_each_medium! {
    values_of_all_are_gathered_by_name: gathers;
}

async fn gathers<M: Medium>(field: Field<M>) {
    let join = |zip: Zip<M>| async move { zip.gather("names", Completeness::Survivors).await };
    let mut members = field.members(5, join).await;
    let ids: Vec<MemberId> = members.iter().map(|(_, channel)| channel.member()).collect();
    let gather = |members: &Vec<(Process, GatherChannel)>| {
        let tasks = members.iter().enumerate().map(|(nth, (process, channel))| {
            let channel = channel.clone();
            // The lengths differ, and one has nothing to say.
            process.run(async move { channel.gather(vec![nth as u8; nth * LARGE]).await.unwrap() })
        });
        tasks.collect::<Vec<_>>()
    };
    for gathered in all(gather(&members)).await {
        assert_eq!(gathered.missing, Missing::default());
        let expected = ids.iter().enumerate().map(|(nth, id)| (*id, vec![nth as u8; nth * LARGE].into()));
        assert_eq!(gathered.values, expected.collect::<Vec<(MemberId, Bytes)>>());
    }
    // Who is gone is named, and has no value.
    members.remove(3);
    for gathered in all(gather(&members)).await {
        assert_eq!(gathered.missing.departed, [ids[3]]);
        assert!(gathered.values.iter().map(|(id, _)| id).eq(ids.iter().filter(|id| **id != ids[3])));
    }
}
