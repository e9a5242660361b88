//! What waits to be said on one connection.
//!
//! The root of a channel has another roster after every join, and only the newest counts, since it says all that the
//! others say: those that are not under way yet are replaced. What else is said is said in order, and so is everything to
//! one member.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cirrus_core::channel::{Assign, ToMember};
use cirrus_core::ids::{MemberId, Stamp};
use cirrus_protocol::zip::{Address, ControllerReply};
use tokio::sync::Notify;

/// What may wait: as much as one round of the controller's work can say, and some of another.
const WAITING_MAX: usize = 16 << 10;

/// Too much waits: whoever is there does not listen.
#[derive(Debug)]
pub(super) struct Deaf;

/// The root of a channel and its newest assignment.
type Root = (Stamp, MemberId, Assign<Address>);

#[derive(Debug, Default)]
struct Waiting {
    replies: Vec<ControllerReply>,
    /// To be said behind all others.
    root: Option<Root>,
    /// There will be no more.
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

/// The controller's end. Dropped, it ends the connection when all is said.
#[derive(Debug)]
pub(super) struct Inlet(Arc<Shared>);

/// The connection's end.
#[derive(Debug)]
pub(super) struct Outlet {
    shared: Arc<Shared>,
    taken: Vec<ControllerReply>,
}

/// Both ends.
pub(super) fn pair() -> (Inlet, Outlet) {
    let shared = Arc::<Shared>::default();
    (Inlet(shared.clone()), Outlet { shared, taken: Vec::new() })
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn say(&mut self, reply: ControllerReply) {
        let ControllerReply::To { channel, member, message } = reply else { return self.replies.push(reply) };
        let same = self.root.as_ref().is_some_and(|(of, root, _)| (*of, *root) == (channel, member));
        match message {
            ToMember::Assign(assign) if assign.roster.is_some() => {
                if !same {
                    self.say_root();
                }
                self.root = Some((channel, member, assign));
            }
            message => {
                if same {
                    self.say_root();
                }
                self.replies.push(ControllerReply::To { channel, member, message });
            }
        }
    }

    fn say_root(&mut self) {
        if let Some((channel, member, assign)) = self.root.take() {
            let message = ToMember::Assign(assign);
            self.replies.push(ControllerReply::To { channel, member, message });
        }
    }
}

impl Inlet {
    /// Puts it behind what waits. Answers whether nothing had waited: then there is somebody to [`Self::wake`].
    ///
    /// # Errors
    /// [`Deaf`]; it is not said then.
    pub(super) fn say(&self, reply: ControllerReply) -> Result<bool, Deaf> {
        let mut waiting = self.0.lock();
        if waiting.replies.len() >= WAITING_MAX {
            return Err(Deaf);
        }
        let first = waiting.replies.is_empty() && waiting.root.is_none();
        waiting.say(reply);
        Ok(first)
    }

    /// Lets the connection take what waits.
    pub(super) fn wake(&self) {
        self.0.changed.notify_one();
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.wake();
    }
}

impl Outlet {
    /// What waits, at least one word, to be drained; `None` when all is said and no more will come.
    pub(super) async fn next(&mut self) -> Option<&mut Vec<ControllerReply>> {
        loop {
            {
                let mut waiting = self.shared.lock();
                waiting.say_root();
                if !waiting.replies.is_empty() {
                    std::mem::swap(&mut waiting.replies, &mut self.taken);
                    break;
                }
                if waiting.closed {
                    return None;
                }
            }
            self.shared.changed.notified().await;
        }
        Some(&mut self.taken)
    }
}

#[cfg(test)]
mod tests {
    use cirrus_core::channel::Roster;
    use cirrus_core::ids::{CallId, ControllerEpoch};

    use super::*;

    const CHANNEL: Stamp = Stamp { epoch: ControllerEpoch(1), serial: 1 };

    fn member(serial: u32) -> MemberId {
        MemberId { stamp: Stamp { serial, ..CHANNEL }, slot: serial }
    }

    fn to(serial: u32, message: ToMember<Address>) -> ControllerReply {
        ControllerReply::To { channel: CHANNEL, member: member(serial), message }
    }

    fn assign(serial: u32, version: u32, roster: Option<Roster>) -> ControllerReply {
        let version = cirrus_core::ids::AssignmentVersion(Stamp { serial: version, ..CHANNEL });
        to(
            serial,
            ToMember::Assign(Assign { version, place: None, parent: None, children: Vec::new(), roster }),
        )
    }

    fn root(serial: u32, version: u32) -> ControllerReply {
        assign(serial, version, Some(Roster::default()))
    }

    async fn said(words: Vec<ControllerReply>) -> Vec<ControllerReply> {
        let (inlet, mut outlet) = pair();
        for word in words {
            inlet.say(word).unwrap();
        }
        drop(inlet);
        let all = std::mem::take(outlet.next().await.unwrap());
        assert!(outlet.next().await.is_none(), "that was all");
        all
    }

    #[tokio::test]
    async fn of_a_root_the_newest_is_said_and_of_others_everything() {
        let accepted =
            |call| ControllerReply::Accepted { call: CallId(call), channel: CHANNEL, member: member(2) };
        let words =
            vec![root(1, 1), accepted(1), assign(2, 1, None), root(1, 2), assign(2, 2, None), root(1, 3)];
        let expected = vec![accepted(1), assign(2, 1, None), assign(2, 2, None), root(1, 3)];
        assert_eq!(said(words).await, expected);
    }

    #[tokio::test]
    async fn what_is_said_to_one_member_keeps_its_order() {
        let words = vec![root(1, 1), root(1, 2), to(1, ToMember::Fenced), root(2, 3), root(1, 4)];
        let expected = vec![root(1, 2), to(1, ToMember::Fenced), root(2, 3), root(1, 4)];
        assert_eq!(said(words).await, expected);
    }

    #[tokio::test]
    async fn who_does_not_listen_is_found_out_and_who_waits_is_woken_once() {
        let (inlet, mut outlet) = pair();
        assert!(inlet.say(root(1, 1)).unwrap(), "the first has somebody to wake");
        for _ in 0..WAITING_MAX {
            assert!(!inlet.say(to(2, ToMember::Fenced)).unwrap());
        }
        assert!(inlet.say(to(2, ToMember::Fenced)).is_err());
        assert_eq!(outlet.next().await.unwrap().drain(..).count(), WAITING_MAX + 1);
        assert!(inlet.say(root(1, 2)).unwrap());
    }
}
