//! Bodies of the fuzz targets: what is done with arbitrary bytes, and what must hold.
//!
//! The targets in `fuzz/` are one line each; the committed corpora, and random bytes, are run through the same
//! bodies by ordinary tests. Nothing may panic, whatever is decoded encodes to the same meaning again, and no rule of
//! a machine breaks.

mod files;
mod machines;
#[cfg(test)]
mod tests;
mod wire;

/// A target's name and body.
pub type Body = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: &[Body] = &[
    ("frame", wire::frame),
    ("store_request", wire::store_request),
    ("store_reply", wire::store_reply),
    ("job_request", wire::job_request),
    ("job_reply", wire::job_reply),
    ("handshake", wire::handshake),
    ("controller_request", wire::controller_request),
    ("controller_reply", wire::controller_reply),
    ("peer_message", wire::peer_message),
    ("roll", wire::roll),
    ("update", wire::update),
    ("names", wire::names),
    ("keys", files::keys),
    ("packed", files::packed),
    ("partition", files::partition),
    ("manifest", files::manifest),
    ("model", files::model),
    ("snapshot", files::snapshot),
    ("store_events", machines::store),
    ("lease_events", machines::lease),
    ("fleet_events", machines::fleet),
    ("worker_events", machines::worker),
    ("directory_events", machines::directory),
    ("controller_events", machines::controller),
    ("member_events", machines::member),
    ("cluster_actions", machines::cluster),
    ("zip_actions", machines::zip),
    ("shuffle_actions", machines::shuffle),
    ("message_actions", machines::messages),
];

/// Runs the body of this name.
///
/// # Panics
/// When what must hold does not, or there is no such body.
pub fn run(name: &str, bytes: &[u8]) {
    let found = ALL.iter().find(|(body, _)| *body == name);
    let (_, body) = found.unwrap_or_else(|| panic!("there is no fuzz body '{name}'"));
    body(bytes);
}
