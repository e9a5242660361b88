//! How a member finds out by itself that the channel has gone on without it (M2).
//!
//! Who is declared dead is told so by its controller. But a controller may be restarted in between, and forget the
//! verdict; then one who was dead to the others calls, and is a member again. Three facts betray it, wherever it hears
//! of them:
//!
//! - A term *goes on* only when all who are counted have reported in it. So a member that is counted and was never in
//!   a term which has gone on was dead by then, and what it has seen since may be void for the others.
//! - A round is *everybody's* only when all who are in it have it. So a member that is in such a round and lacks it was
//!   dead by then, and nobody can give it that round any more.
//! - The result of a reduce names those who have departed.
//!
//! Such a member leaves, and its application hears that it was fenced. It cannot be wrong about a member that never
//! was declared dead, however long that one was cut off.

use alloc::collections::VecDeque;

use crate::ids::Term;

/// Terms in a row that may come and go without one of them going on. Who has been in more may take itself for dead.
const TERMS_MAX: usize = 16;

/// The terms that a member was in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// The newest term of which it knows that it went on.
    pub known: Term,
    /// Those that it has entered since, and that may have gone on.
    pub since: VecDeque<Term>,
    /// The one in which it heard that it is counted. Earlier ones went on without it by right.
    pub counted: Option<Term>,
}

impl History {
    /// The member enters a term.
    pub(super) fn enter(&mut self, term: Term) {
        if self.since.len() >= TERMS_MAX {
            self.since.pop_front();
        }
        self.since.push_back(term);
    }

    /// This term has gone on.
    pub(super) fn went_on(&mut self, term: Term) {
        self.known = self.known.max(term);
        self.since.retain(|later| *later > term);
    }

    /// It has heard in this term that it is counted.
    pub(super) fn is_counted(&mut self, term: Term) {
        self.counted = self.counted.or(Some(term));
    }

    /// Whether a term that has gone on is one that the member must have been in, and was not.
    #[must_use]
    pub fn lacks(&self, term: Term) -> bool {
        let asked = self.counted.is_some_and(|counted| counted < term);
        asked && term > self.known && !self.since.contains(&term)
    }
}
