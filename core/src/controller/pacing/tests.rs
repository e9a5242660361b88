//! The arithmetic of [`Pacing`], with links as they are.

use super::*;

/// 8 rounds of 100 MB in a tree of four machines whose links carry 50 MB/s, and a small round in a millisecond.
const SLOW_LINKS: Pace =
    Pace { rounds: 8, bytes: 800_000_000, piece: 1 << 20, busy: 33_600_000, quickest: 1000, sender: None };

fn pacing(places: u32) -> Pacing {
    Pacing { own: FanOut(2), places, tree: None, chain: None, sender: None }
}

#[test]
fn large_values_over_slow_links_go_down_a_chain_and_stay_there() {
    let mut pacing = pacing(4);
    assert!(pacing.chains(&Config::default(), false, &SLOW_LINKS));
    let halved = Pace { busy: 17_000_000, ..SLOW_LINKS };
    assert!(pacing.chains(&Config::default(), true, &halved));
}

#[test]
fn a_chain_that_does_not_pay_is_given_up_and_not_tried_again() {
    let mut pacing = pacing(4);
    assert!(pacing.chains(&Config::default(), false, &SLOW_LINKS));
    assert!(!pacing.chains(&Config::default(), true, &SLOW_LINKS));
    assert!(!pacing.chains(&Config::default(), false, &SLOW_LINKS));
}

#[test]
fn small_values_stay_in_the_tree() {
    let small =
        Pace { rounds: 5000, bytes: 500_000, piece: 100, busy: 5_000_000, quickest: 1000, sender: None };
    assert!(!pacing(64).chains(&Config::default(), false, &small));
    // Large ones among many small ones do not make up for these.
    let mixed = Pace { rounds: 5008, bytes: 800_500_000, busy: 38_600_000, ..SLOW_LINKS };
    assert!(!pacing(64).chains(&Config::default(), false, &mixed));
}

#[test]
fn a_value_of_few_pieces_does_not_fill_a_long_chain() {
    let rounds = |bytes: u64| Pace {
        rounds: 1,
        bytes,
        piece: 1 << 20,
        busy: 2 * bytes / 50 + 5000,
        quickest: 5000,
        sender: None,
    };
    assert!(!pacing(64).chains(&Config::default(), false, &rounds(16 << 20)));
    assert!(pacing(64).chains(&Config::default(), false, &rounds(1 << 30)));
}

#[test]
fn depths_are_those_of_complete_trees() {
    let expected =
        [(1, 2, 0), (2, 2, 1), (3, 2, 1), (4, 2, 2), (7, 2, 2), (8, 2, 3), (64, 1, 63), (64, 4, 3)];
    for (places, fan_out, steps) in expected {
        assert_eq!(depth(places, FanOut(fan_out)), steps, "{places} places, fan-out {fan_out}");
    }
}

#[test]
fn nothing_overflows() {
    let most = Pace {
        rounds: u32::MAX,
        bytes: u64::MAX,
        piece: u32::MAX,
        busy: u64::MAX,
        quickest: u32::MAX,
        sender: None,
    };
    let least = Pace { rounds: 0, bytes: 1, ..Pace::default() };
    for pace in [most, least] {
        let mut pacing = pacing(u32::MAX);
        let _ = pacing.chains(&Config::default(), false, &pace);
        let _ = pacing.chains(&Config::default(), true, &pace);
    }
}
