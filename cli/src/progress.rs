//! Bars that move on standard error while long work goes on. Where standard error is no terminal, nothing is drawn.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::Output;

/// A bar over bytes read.
pub(crate) fn of_bytes(output: Output) -> ProgressBar {
    bar(output, 0, "{msg} {bar:32} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
}

/// A bar over blocks learned from.
pub(crate) fn of_blocks(output: Output, total: u64) -> ProgressBar {
    bar(output, total, "{prefix} {bar:32} {percent:>3}% {msg}")
}

/// A bar over work that has several phases; its prefix says which one it is in.
pub(crate) fn of_phases(output: Output, total: u64) -> ProgressBar {
    bar(output, total, "{prefix:10} {bar:32} {percent:>3}% {elapsed}")
}

fn bar(output: Output, total: u64, template: &str) -> ProgressBar {
    let target = if output.draws() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    // The templates are written here; a mistake in one leaves the plain bar.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar
}
