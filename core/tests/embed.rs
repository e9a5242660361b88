//! The example runs, and the guide quotes what is in it.

#[path = "../examples/embed.rs"]
mod embed;

#[test]
fn the_broadcast_arrives() {
    embed::main();
}

#[test]
fn the_guide_quotes_what_is_there() {
    let (guide, here) = (include_str!("../../docs/embed.md"), include_str!("../examples/embed.rs"));
    let quotes: Vec<&str> =
        guide.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(quotes.len() > 2 && quotes.iter().all(|quote| here.contains(quote)), "{quotes:#?}");
    assert!(here.lines().count() < 100, "the guide says so");
}
