//! The table and the ledgers, in all orders in which their users can meet.
//!
//! What lies in slabs is stood for by loom's cells, which know whether a write and a read of them were in order. Each test
//! prints how many orders there were.

use std::sync::atomic::{AtomicU64 as Count, Ordering};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::ledger::Ledger;
use super::space::PAGE;
use super::table::{Full, Lie, LodgerId, Slab, Table};

/// A segment of so many pages, each of which is a slab.
struct Model {
    table: Table,
    pages: Vec<UnsafeCell<u32>>,
}

// SAFETY: the cells are loom's, which sees by itself whether two threads use one at the same time; it is what the tests
// are for. Everything else can be shared.
#[expect(unsafe_code, reason = "the tests look for data races, so the cells must be shared without a lock")]
unsafe impl Sync for Model {}

impl Model {
    fn new(pages: u32) -> Arc<Self> {
        let table = Table::new(u64::from(pages) * PAGE, pages);
        Arc::new(Self { table, pages: (0..pages).map(|_| UnsafeCell::new(0)).collect() })
    }

    fn admit(&self) -> (LodgerId, std::sync::Arc<Ledger>) {
        let ledger = std::sync::Arc::new(Ledger::own(u32::try_from(self.pages.len()).unwrap()));
        (self.table.admit(ledger.clone()), ledger)
    }

    fn page(&self, slab: Slab) -> &UnsafeCell<u32> {
        &self.pages[usize::try_from(slab.begin / PAGE).unwrap()]
    }

    fn write(&self, slab: Slab, value: u32) {
        // SAFETY: as in production: whoever writes has leased the slab. Loom fails the test if that does not hold.
        #[expect(unsafe_code, reason = "the access that is checked")]
        self.page(slab).with_mut(|page| unsafe { *page = value });
    }

    fn read(&self, slab: Slab) -> u32 {
        // SAFETY: as in production: whoever reads holds the slab. Loom fails the test if that does not hold.
        #[expect(unsafe_code, reason = "the access that is checked")]
        self.page(slab).with(|page| unsafe { *page })
    }
}

/// Tries all orders of a test, and prints how many there were.
fn all_orders(name: &str, test: impl Fn() + Sync + Send + 'static) {
    let orders = std::sync::Arc::new(Count::new(0));
    let counted = orders.clone();
    loom::model(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        test();
    });
    let orders = orders.load(Ordering::Relaxed);
    println!("{name}: {orders} orders");
    assert!(orders > 1, "{name}: nothing met anything");
}

#[test]
fn loom_a_slab_is_written_again_only_after_all_have_read_it() {
    all_orders("two readers let go, the host leases again", || {
        let model = Model::new(1);
        let lodgers = [model.admit(), model.admit()];
        let slab = model.table.lease(None, PAGE).unwrap();
        model.write(slab, 7);
        let readers: Vec<_> = lodgers
            .into_iter()
            .map(|(lodger, ledger)| {
                model.table.grant(lodger, slab.begin, PAGE).unwrap();
                let model = model.clone();
                thread::spawn(move || {
                    assert_eq!(model.read(slab), 7);
                    ledger.let_go(slab.slot);
                })
            })
            .collect();
        model.table.let_go(slab.begin);
        if let Ok(again) = model.table.lease(None, PAGE) {
            model.write(again, 8);
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert!(model.table.lease(None, PAGE).is_ok() || model.table.held() == PAGE);
    });
}

#[test]
fn loom_two_who_lease_at_once_get_two_slabs() {
    all_orders("two lodgers lease, there is room for one and a half", || {
        let model = Model::new(2);
        let tasks: Vec<_> = [1, 2]
            .into_iter()
            .map(|value| {
                let (model, (lodger, ledger)) = (model.clone(), model.admit());
                thread::spawn(move || {
                    for _ in 0..2 {
                        let slab = model.table.lease(Some(lodger), PAGE).unwrap();
                        model.write(slab, value);
                        assert_eq!(model.read(slab), value);
                        ledger.let_go(slab.slot);
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(model.table.held(), 0);
    });
}

#[test]
fn loom_what_is_under_way_is_held() {
    all_orders("a lodger hands over and lets go, the host leases meanwhile", || {
        let model = Model::new(2);
        let (lodger, ledger) = model.admit();
        let slab = model.table.lease(Some(lodger), PAGE).unwrap();
        let (sent, received) = loom::sync::mpsc::channel();
        let there = model.clone();
        let sender = thread::spawn(move || {
            there.write(slab, 5);
            ledger.take(slab.slot);
            sent.send(slab).unwrap();
            ledger.let_go(slab.slot);
        });
        // One of the two pages is free, and only one.
        let other = model.table.lease(None, PAGE).unwrap();
        assert_ne!(other.begin, slab.begin);
        let taken = received.recv().unwrap();
        model.table.take_over(lodger, taken.begin, PAGE).unwrap();
        assert_eq!(model.read(taken), 5);
        sender.join().unwrap();
        assert_eq!(model.table.take_over(lodger, taken.begin, PAGE), Err(Lie::NotHeld));
        assert!(matches!(model.table.lease(None, PAGE), Err(Full { free: 0, .. })));
        model.table.let_go(taken.begin);
        model.table.let_go(other.begin);
        assert_eq!(model.table.held(), 0);
    });
}

#[test]
fn loom_who_dies_leaves_nothing_behind() {
    all_orders("a lodger is evicted while it is granted a slab, and while it hands one over", || {
        let model = Model::new(2);
        let (lodger, _ledger) = model.admit();
        let own = model.table.lease(Some(lodger), PAGE).unwrap();
        let shared = model.table.lease(None, PAGE).unwrap();
        let there = model.clone();
        let death = thread::spawn(move || there.table.evict(lodger));
        let granted = model.table.grant(lodger, shared.begin, PAGE);
        match model.table.take_over(lodger, own.begin, PAGE) {
            Ok(slab) => model.table.let_go(slab.begin),
            Err(lie) => assert_eq!(lie, Lie::NotHeld),
        }
        if let Some(slab) = granted {
            model.table.ungrant(lodger, slab.slot);
        }
        model.table.let_go(shared.begin);
        death.join().unwrap();
        assert_eq!(model.table.held(), 0);
    });
}

#[test]
fn loom_holds_of_one_process_end_in_any_order() {
    all_orders("two threads of a lodger let go, two hosts' threads lease", || {
        let model = Model::new(1);
        let (lodger, ledger) = model.admit();
        let slab = model.table.lease(None, PAGE).unwrap();
        model.write(slab, 3);
        model.table.grant(lodger, slab.begin, PAGE).unwrap();
        model.table.grant(lodger, slab.begin, PAGE).unwrap();
        model.table.let_go(slab.begin);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (model, ledger) = (model.clone(), ledger.clone());
                thread::spawn(move || {
                    assert_eq!(model.read(slab), 3);
                    ledger.let_go(slab.slot);
                })
            })
            .collect();
        let there = model.clone();
        let host =
            thread::spawn(move || there.table.lease(None, PAGE).map(|slab| there.write(slab, 9)).is_ok());
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        let first = host.join().unwrap();
        assert_eq!(model.table.lease(None, PAGE).is_ok(), !first, "it is given out once");
    });
}
