//! `cirrus demo` from end to end.

use std::fs;

use crate::run::{cirrus, folder, names};

#[test]
fn the_demo_shows_all_of_it_and_leaves_its_folder() {
    let folder = folder();
    let ran = cirrus(folder.path(), "demo").ok();
    for words in
        ["held out: log loss", "the base rate alone", "AUC", "rows/s", "peak memory of a worker", "report"]
    {
        assert!(ran.out.contains(words), "{words:?} is not in: {}", ran.out);
    }
    assert!(ran.err.contains("killing worker"), "{}", ran.err);
    assert!(ran.err.contains("was killed by signal 9; it is started again"), "{}", ran.err);
    assert_eq!(names(folder.path()), ["cirrus-demo"]);
    assert_eq!(names(&folder.path().join("cirrus-demo")), ["flights", "flights.model", "report.html"]);

    let page = fs::read_to_string(folder.path().join("cirrus-demo/report.html")).expect("the report is text");
    assert!(
        page.contains("<svg") && page.contains("Held-out log loss") && page.contains("Killed half-way"),
        "{page}"
    );
    // Whatever a browser would fetch begins so; names of XML's own are not fetched.
    for mark in ["src=", "href=", "url(", "@import", "<link", "<script"] {
        assert!(!page.contains(mark), "the report needs something else: {mark}");
    }
    // What it leaves can be used, and used again.
    cirrus(folder.path(), "evaluate cirrus-demo/flights.model cirrus-demo/flights").ok();
    let found = cirrus(folder.path(), "demo --quiet --json --workers 2 --out cirrus-demo").json();
    assert!(found["held_out"]["log_loss"].as_f64() < Some(0.44), "{found}");
    assert!(found["held_out"]["auc"].as_f64() > Some(0.735), "{found}");
    assert!(
        found["killed"]["process"].is_u64() && found["peak_memory_bytes_of_a_worker"].is_u64(),
        "{found}"
    );
    assert_eq!(names(folder.path()), ["cirrus-demo"]);
    assert_eq!(names(&folder.path().join("cirrus-demo")), ["flights", "flights.model", "report.html"]);
}
