//! What a subscriber sees of a channel.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

use crate::zip::error::in_words;
use crate::zip::{Completeness, Zip, operator};

/// Spans by their id: what each is called, and its fields.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<BTreeMap<u64, (&'static str, Fields)>>>);

#[derive(Clone, Debug, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Layer<Registry> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, Registry>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        // The numbers of spans that are over are given again.
        let number = self.0.lock().unwrap().len() as u64 + (1 << 32);
        let mut all = self.0.lock().unwrap();
        if let Some(over) = all.remove(&id.into_u64()) {
            all.insert(number, over);
        }
        all.insert(id.into_u64(), (attributes.metadata().name(), fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, Registry>) {
        if let Some((_, fields)) = self.0.lock().unwrap().get_mut(&id.into_u64()) {
            values.record(fields);
        }
    }
}

#[tokio::test]
async fn a_round_has_a_span_with_its_channel_its_member_and_its_number() {
    let spans = Spans::default();
    let _default = tracing::subscriber::set_default(Registry::default().with(spans.clone()));
    let zip = Zip::local().await.unwrap();
    let sums = zip.reduce("sums", operator::sum::<i64>(), Completeness::Survivors).await.unwrap();
    let reduced = sums.all_reduce(vec![1; 8]).await.unwrap();
    let all: Vec<_> = spans.0.lock().unwrap().values().cloned().collect();
    let member = in_words(sums.member());
    let has = |fields: &Fields, expected: &[(&str, &str)]| {
        expected.iter().all(|(name, value)| fields.0.get(name).map(String::as_str) == Some(value))
    };
    let round = reduced.round.0.to_string();
    let call = [("call", "a reduce"), ("channel", "sums"), ("member", &member), ("round", &round)];
    assert!(all.iter().any(|(name, fields)| *name == "call" && has(fields, &call)), "{all:?}");
    let seat = [("channel", "sums"), ("kind", "reduce"), ("member", &member)];
    assert!(all.iter().any(|(name, fields)| *name == "seat" && has(fields, &seat)), "{all:?}");
}
