//! Members that go through rounds without a pause, and what all who stay must agree about in the end.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::member::{Broadcast, Kind, Order, Report, Sum};
use crate::processes::{Controller, Member, PATIENCE};

/// Numbers of a value: of several pieces, so that there is a midst of a round.
const COUNT: usize = 80_000;
/// Bytes of a broadcast: of several pieces.
const BYTES: usize = 600_000;
/// Rounds that all have seen before something is done to somebody, and that are seen behind it.
pub(crate) const SOME: usize = 5;

/// The channel of sums.
pub(crate) const SUMS: &str = "sums";
/// The channel of broadcasts.
pub(crate) const NEWS: &str = "news";

/// A member in a channel of sums, and what it has seen.
pub(crate) struct Adder {
    pub(crate) member: Member,
    /// What it gives: one bit.
    factor: i64,
    order: u64,
    pub(crate) seen: BTreeMap<u64, Sum>,
}

/// A channel of sums.
pub(crate) struct Sums {
    /// Those who stay, in the order in which they joined: the first is the root, and 1 and 2 are its children.
    pub(crate) adders: Vec<Adder>,
    /// What those are called who are to be missing.
    lost: Vec<String>,
    joined: u32,
}

impl Sums {
    /// So many members, all of whom have seen some rounds.
    pub(crate) fn start(members: Vec<Member>) -> Self {
        let mut sums = Self { adders: Vec::new(), lost: Vec::new(), joined: 0 };
        sums.add(members);
        sums.go_on();
        sums
    }

    /// So many in processes of this machine.
    pub(crate) fn of(controller: &Controller, count: usize) -> Self {
        Self::start(controller.members(SUMS, &vec![Kind::Sum; count]))
    }

    /// Members that have joined take part from now on.
    pub(crate) fn add(&mut self, members: Vec<Member>) {
        for mut member in members {
            let factor = 1 << self.joined;
            self.joined += 1;
            let order = member.order(Order::Sum { channel: SUMS.into(), factor, count: COUNT });
            self.adders.push(Adder { member, factor, order, seen: BTreeMap::new() });
        }
    }

    /// All see some more rounds.
    #[track_caller]
    pub(crate) fn go_on(&mut self) {
        for adder in &mut self.adders {
            (0..SOME).for_each(|_| adder.see());
        }
    }

    /// Takes out those at these places, to whom something is about to happen that the others must not suffer from.
    pub(crate) fn lose(&mut self, places: &[usize]) -> Vec<Adder> {
        let mut places = places.to_vec();
        places.sort_unstable();
        let mut lost: Vec<Adder> = places.into_iter().rev().map(|place| self.adders.remove(place)).collect();
        lost.reverse();
        self.lost.extend(lost.iter().map(|adder| adder.member.name.clone()));
        lost
    }

    /// Kills those at these places with one blow.
    pub(crate) fn kill(&mut self, places: &[usize]) {
        let lost = self.lose(places);
        lost.iter().for_each(|adder| adder.member.kill());
    }

    /// All who stay see rounds until nobody is waited for who is lost.
    #[track_caller]
    pub(crate) fn until_lost(&mut self) {
        let all: i64 = self.adders.iter().map(|adder| adder.factor).sum();
        for adder in &mut self.adders {
            let began = Instant::now();
            while adder.seen.last_entry().is_none_or(|sum| sum.get().factors != all) {
                assert!(began.elapsed() < PATIENCE, "{} sees no sum without them", adder.member.name);
                adder.see();
            }
        }
    }

    /// One more round is the last, and all who have stayed agree:
    ///
    /// - R1: they have seen the same sums, with the same members in them, each once;
    /// - R2: whoever stays is in every sum from its first on;
    /// - B3: the rounds have gone on, since all have come to the end;
    /// - whoever is lost is named, once.
    #[track_caller]
    pub(crate) fn agree(mut self) {
        self.adders[0].member.does(Order::Last { channel: SUMS.into() });
        for adder in &mut self.adders {
            let rest = adder.member.all(adder.order);
            rest.into_iter().for_each(|report| adder.note(report));
        }
        let seen = self.adders[0].seen.clone();
        let mut gone = 0;
        for (sum, before) in seen.values().zip(std::iter::once(None).chain(seen.values().map(Some))) {
            assert!(sum.right, "a wrong sum: {sum:?}");
            assert_eq!(sum.members, sum.factors.count_ones(), "R1: {sum:?}");
            let before = before.map_or(0, |before| before.factors);
            assert_eq!(sum.factors & gone, 0, "nobody comes back from the dead: {sum:?}");
            gone |= before & !sum.factors;
        }
        for adder in &self.adders {
            let first = adder.seen.first_key_value().expect("it has seen rounds").0;
            let same = seen.range(first..).map(|(round, sum)| (*round, sum.clone())).collect();
            assert_eq!(adder.seen, same, "R1: {} has seen what others have not", adder.member.name);
            let without = adder.seen.values().find(|sum| sum.factors & adder.factor == 0);
            assert_eq!(without, None, "R2: {} has stayed", adder.member.name);
        }
        let mut missing: Vec<String> = seen.into_values().flat_map(|sum| sum.missing).collect();
        missing.sort();
        self.lost.sort();
        assert_eq!(missing, self.lost, "R1: who is missing is named");
    }
}

impl Adder {
    /// Waits for one more sum.
    #[track_caller]
    fn see(&mut self) {
        let report = self.member.hear(self.order);
        self.note(report);
    }

    #[track_caller]
    fn note(&mut self, report: Report) {
        match report {
            Report::Sum(sum) => _ = self.seen.insert(sum.round, sum),
            other => panic!("{}: {other:?}", self.member.name),
        }
    }

    /// Waits for how its order ends, if not well.
    #[track_caller]
    pub(crate) fn fails(&mut self) -> (String, String) {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < PATIENCE, "{} goes on and on", self.member.name);
            match self.member.hear(self.order) {
                Report::Failed(kind, text) => return (kind, text),
                report => self.note(report),
            }
        }
    }
}

/// A member in a channel of broadcasts, and what it has seen.
pub(crate) struct Reader {
    pub(crate) member: Member,
    order: u64,
    pub(crate) seen: Vec<Broadcast>,
}

/// A channel of broadcasts, whose last member sends.
pub(crate) struct News {
    /// Those who stay, in the order in which they joined: the first is the root, and 1 and 2 are its children.
    pub(crate) readers: Vec<Reader>,
}

impl News {
    /// So many members, all of whom have seen some rounds.
    pub(crate) fn start(mut members: Vec<Member>) -> Self {
        let mut sender = members.pop().expect("somebody sends");
        let channel = || NEWS.to_owned();
        let mut readers: Vec<Reader> = members
            .into_iter()
            .map(|mut member| {
                let order = member.order(Order::Receive { channel: channel() });
                Reader { member, order, seen: Vec::new() }
            })
            .collect();
        let order = sender.order(Order::Send { channel: channel(), first: 0, bytes: BYTES });
        readers.push(Reader { member: sender, order, seen: Vec::new() });
        let mut news = Self { readers };
        news.go_on();
        news
    }

    /// So many in processes of this machine.
    pub(crate) fn of(controller: &Controller, count: usize) -> Self {
        Self::start(controller.members(NEWS, &vec![Kind::Broadcast; count]))
    }

    /// All see some more rounds.
    #[track_caller]
    pub(crate) fn go_on(&mut self) {
        self.readers.iter_mut().for_each(Reader::see_some);
    }

    /// Takes out those at these places, to whom something is about to happen that the others must not suffer from.
    pub(crate) fn lose(&mut self, places: &[usize]) -> Vec<Reader> {
        let mut places = places.to_vec();
        places.sort_unstable();
        let mut lost: Vec<Reader> =
            places.into_iter().rev().map(|place| self.readers.remove(place)).collect();
        lost.reverse();
        lost
    }

    /// Kills those at these places with one blow.
    pub(crate) fn kill(&mut self, places: &[usize]) -> Vec<Reader> {
        let lost = self.lose(places);
        lost.iter().for_each(|reader| reader.member.kill());
        lost
    }

    /// The sender sends once more, and all who have stayed agree: see [`News::agrees`].
    #[track_caller]
    pub(crate) fn agree(mut self) -> Vec<Broadcast> {
        let sender = self.readers.last_mut().expect("it is there");
        sender.member.does(Order::Last { channel: NEWS.into() });
        self.agrees()
    }

    /// Somebody who comes anew sends the last broadcast, and all who have stayed agree: see [`News::agrees`].
    #[track_caller]
    pub(crate) fn agree_with(mut self, mut member: Member) -> Vec<Broadcast> {
        member.join(NEWS, Kind::Broadcast);
        member.does(Order::Last { channel: NEWS.into() });
        let order = member.order(Order::Send { channel: NEWS.into(), first: 0, bytes: BYTES });
        let sent = member.all(order);
        assert!(matches!(sent.last(), Some(Report::Came(_))), "{sent:?}");
        self.agrees()
    }

    /// All come to the end, and
    ///
    /// - B1: rounds came in order, each once, with the bytes that were sent, and those of a sender in its order;
    /// - B2: all have seen the same.
    #[track_caller]
    fn agrees(&mut self) -> Vec<Broadcast> {
        for reader in &mut self.readers {
            let rest = reader.member.all(reader.order);
            rest.into_iter().for_each(|report| reader.note(report));
        }
        let seen = &self.readers[0].seen;
        assert!(seen.iter().all(|it| it.right), "B1: {seen:?}");
        assert!(seen.is_sorted_by(|one, next| one.round < next.round), "B1: {seen:?}");
        let mut sent: BTreeMap<&str, u64> = BTreeMap::new();
        for broadcast in seen {
            let next = sent.entry(&broadcast.from).or_default();
            assert_eq!(broadcast.nth, *next, "B1: each once, in order: {seen:?}");
            *next += 1;
        }
        for reader in &self.readers[1..] {
            assert_eq!(&reader.seen, seen, "B2: {} has seen something else", reader.member.name);
        }
        seen.clone()
    }
}

impl Reader {
    /// Waits for some more broadcasts.
    #[track_caller]
    pub(crate) fn see_some(&mut self) {
        let until = self.seen.len() + SOME;
        while self.seen.len() < until {
            let report = self.member.hear(self.order);
            self.note(report);
        }
    }

    #[track_caller]
    fn note(&mut self, report: Report) {
        match report {
            Report::Came(broadcast) => self.seen.push(broadcast),
            Report::Aborted => {}
            other => panic!("{}: {other:?}", self.member.name),
        }
    }

    /// Waits for how its order ends, if not well.
    #[track_caller]
    pub(crate) fn fails(&mut self) -> (String, String) {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < PATIENCE, "{} goes on and on", self.member.name);
            match self.member.hear(self.order) {
                Report::Failed(kind, text) => return (kind, text),
                report => self.note(report),
            }
        }
    }

    /// What a process that is dead had seen, to the end.
    pub(crate) fn last_words(mut self) -> Vec<Broadcast> {
        while let Some(report) = self.member.last_words(self.order) {
            self.note(report);
        }
        self.seen
    }
}
