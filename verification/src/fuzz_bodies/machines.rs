//! Sequences of events: each byte chooses what happens next, among few ids, so that they collide.

use crate::worlds;

/// Walks through the worlds of this family.
fn walk(family: &str, choices: &[u8]) {
    for world in worlds::all().into_iter().filter(|world| world.name.starts_with(family)) {
        if let Some(failure) = world.walk(choices) {
            panic!("{}: {:?}\n  {}", world.name, failure.broken, failure.steps.join("\n  "));
        }
    }
}

pub(super) fn store(choices: &[u8]) {
    walk("store", choices);
}

pub(super) fn lease(choices: &[u8]) {
    walk("lease", choices);
}

pub(super) fn fleet(choices: &[u8]) {
    walk("fleet", choices);
}

pub(super) fn worker(choices: &[u8]) {
    walk("worker", choices);
}

pub(super) fn directory(choices: &[u8]) {
    walk("directory", choices);
}

pub(super) fn controller(choices: &[u8]) {
    walk("controller", choices);
}

pub(super) fn member(choices: &[u8]) {
    walk("member", choices);
}

pub(super) fn cluster(choices: &[u8]) {
    walk("job", choices);
}

pub(super) fn zip(choices: &[u8]) {
    walk("zip-", choices);
    walk("sum-", choices);
}

pub(super) fn shuffle(choices: &[u8]) {
    walk("shuffle-", choices);
}

pub(super) fn messages(choices: &[u8]) {
    walk("message-", choices);
}
