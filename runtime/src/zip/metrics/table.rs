//! Every metric by its name.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name, with its unit where it has one.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels, with commas between them.
    pub labels: &'static str,
    /// What it says.
    pub help: &'static str,
}

/// A row for each metric. `docs/observe.md` has the same ones.
pub const TABLE: &[Row] = &[
    row("cirrus_zip_seats", "gauge", "channel, kind", "Seats of this process in channels."),
    row(
        "cirrus_zip_rounds_completed_total",
        "counter",
        "channel, kind",
        "Rounds that ended here with what they were for.",
    ),
    row(
        "cirrus_zip_rounds_aborted_total",
        "counter",
        "channel, kind",
        "Rounds that came to nothing, or ended with this member.",
    ),
    row(
        "cirrus_zip_values_missing_total",
        "counter",
        "channel",
        "Members named as missing from results of reduces, or as lost in shuffles.",
    ),
    row(
        "cirrus_zip_call_seconds",
        "histogram",
        "channel, call",
        "How long calls of the application took until their answer.",
    ),
    row(
        "cirrus_zip_messages_sent_total",
        "counter",
        "channel, outcome",
        "Messages to one member that have ended, by what became of them.",
    ),
    row(
        "cirrus_zip_messages_received_total",
        "counter",
        "channel",
        "Messages of one member that the application has taken.",
    ),
    row(
        "cirrus_zip_held_rounds",
        "gauge",
        "channel",
        "Rounds that are kept: under way, or for an application that has not asked for them.",
    ),
    row("cirrus_zip_held_rounds_limit", "gauge", "channel", "How many rounds may be kept."),
    row("cirrus_zip_held_bytes", "gauge", "channel", "Payload bytes of the rounds that are kept."),
    row(
        "cirrus_zip_assignments_total",
        "counter",
        "channel",
        "Times that the controller gave this member a place or neighbours anew.",
    ),
    row("cirrus_zip_links_made_total", "counter", "channel", "Links to a parent that were made."),
    row(
        "cirrus_zip_links_lost_total",
        "counter",
        "channel",
        "Links of the tree that broke, or could not be made.",
    ),
    row(
        "cirrus_zip_controller_losses_total",
        "counter",
        "channel",
        "Times that the connection to the controller broke, or was not made.",
    ),
    row(
        "cirrus_zip_seats_ended_total",
        "counter",
        "channel, end",
        "Seats that ended: left, fenced (declared dead) or overdue.",
    ),
    row("cirrus_zip_frames_sent_total", "counter", "channel", "Frames sent to other members."),
    row("cirrus_zip_frames_received_total", "counter", "channel", "Frames received from other members."),
    row(
        "cirrus_zip_sent_bytes_total",
        "counter",
        "channel",
        "Bytes of those frames sent, before any encryption.",
    ),
    row(
        "cirrus_zip_received_bytes_total",
        "counter",
        "channel",
        "Bytes of those frames received, after any decryption.",
    ),
    row("cirrus_zip_controller_epoch", "gauge", "", "Which life of the controller this is."),
    row("cirrus_zip_controller_channels", "gauge", "", "Channels that somebody is in."),
    row("cirrus_zip_controller_members", "gauge", "", "Members of all channels."),
    row("cirrus_zip_controller_joins_total", "counter", "", "Members that were let in."),
    row(
        "cirrus_zip_controller_refusals_total",
        "counter",
        "",
        "Requests that were refused, or connections that were closed for what they said.",
    ),
    row("cirrus_zip_controller_leaves_total", "counter", "", "Members that left."),
    row("cirrus_zip_controller_deaths_total", "counter", "", "Members that were declared dead."),
    row("cirrus_zip_controller_reattaches_total", "counter", "", "Times that a member called again."),
    row(
        "cirrus_zip_controller_assignments_total",
        "counter",
        "",
        "Assignments sent to members: each join and each repair costs a few.",
    ),
    row(
        "cirrus_zip_controller_probes_total",
        "counter",
        "",
        "Members that were asked whether they are there.",
    ),
    row("cirrus_zip_controller_frames_sent_total", "counter", "", "Frames sent to members."),
    row("cirrus_zip_controller_frames_received_total", "counter", "", "Frames received from members."),
    row(
        "cirrus_zip_controller_sent_bytes_total",
        "counter",
        "",
        "Bytes of those frames sent, before any encryption.",
    ),
    row(
        "cirrus_zip_controller_received_bytes_total",
        "counter",
        "",
        "Bytes of those frames received, after any decryption.",
    ),
];

const fn row(name: &'static str, kind: &'static str, labels: &'static str, help: &'static str) -> Row {
    Row { name, kind, labels, help }
}
