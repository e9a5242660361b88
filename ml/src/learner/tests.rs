use cirrus_core::ids::{BlockId, CallId, GradientName, Pass};
use cirrus_protocol::gradient::{KeyReference, Update, encode, view_floats};
use cirrus_protocol::keys::{KeyLimit, decode_sequence};
use cirrus_runtime::learner::LearnError;
use cirrus_runtime::table::Origin;

use super::factory;
use crate::job::TrainJob;
use crate::model::{Model, Rows, Scratch};
use crate::optimizer::{Adagrad, AdagradCell, AnyOptimizer, Optimizer, cells_of};
use crate::testing::{block, planted_rows};
use crate::train::LocalTrainer;
use crate::{learner, table};

const REFERENCE: KeyReference<'static> = KeyReference::OfRead(CallId(3));

fn job(parameters: &str) -> TrainJob {
    TrainJob::from_json(format!(r#"{{"hash_bits": 6{parameters}}}"#).as_bytes()).unwrap()
}

fn name(pass: u32, block: u32) -> GradientName {
    GradientName { pass: Pass(pass), block: BlockId { partition: 0, block }, part: 0 }
}

fn untrained_cells(job: &TrainJob, keys: &[u8]) -> Vec<u8> {
    let mut cells = Vec::new();
    table::new(job).read(keys, &mut cells);
    cells
}

#[test]
fn it_asks_for_the_dictionary_and_the_bias() {
    let block = block(6, &[(1.0, vec![(3, 1.0), (60, 1.0)]), (0.0, vec![(3, 1.0), (17, 1.0)])]);
    let (mut keys, mut decoded) = (vec![1, 2, 3], Vec::new());
    learner::new(&job("")).keys(&block, &mut keys);
    decode_sequence(&keys, KeyLimit { count: 65, key_max: 64 }, &mut decoded).unwrap();
    assert_eq!(decoded, [3, 17, 60, 64]);
}

/// With nobody else at work, learner and table together do what steps on the cells themselves would do.
#[test]
fn without_staleness_a_store_changes_nothing() {
    for (parameters, l1) in
        [("", 0.0), (r#", "l1": 0.001, "l2": 0.001, "rate_decay": 0.5, "passes": 3"#, 0.001)]
    {
        let job = job(parameters);
        let AnyOptimizer::Adagrad(adagrad) = job.optimizer() else { panic!("adagrad is the default") };
        let blocks = [1, 2].map(|seed| block(6, &planted_rows(seed, 500)));
        let mut trainer = LocalTrainer::new(&job);
        let mut direct = vec![adagrad.initial(); job.cells()];
        for (pass, i) in [(0, 0), (0, 1), (1, 1), (1, 0)] {
            let report = trainer.learn(name(pass, i), &blocks[i as usize]).unwrap();
            let loss = direct_steps(&job, adagrad, Pass(pass), &blocks[i as usize], &mut direct);
            assert_eq!(report.rows, 500);
            assert!((report.loss_sum - loss).abs() < 1e-3, "{} {loss}", report.loss_sum);
        }
        let cells: Vec<AdagradCell> = cells_of(view_floats(trainer.cells()).unwrap()).collect();
        let mut moved = 0;
        for (cell, direct) in cells.iter().zip(&direct) {
            assert!((cell.weight - direct.weight).abs() < 2e-5, "{cell:?} {direct:?}");
            assert!((cell.squares - direct.squares).abs() < 1e-5 * direct.squares, "{cell:?} {direct:?}");
            assert_eq!(cell.weight == 0.0, direct.weight == 0.0, "{cell:?} {direct:?}");
            moved += u32::from(direct.weight != 0.0);
        }
        assert!(moved > 30 && (l1 > 0.0 || moved == 61), "{moved} weights moved");
    }
}

/// One block of local steps on a table of its own; the sum of losses.
fn direct_steps(
    job: &TrainJob,
    adagrad: Adagrad,
    pass: Pass,
    block: &cirrus_protocol::partition::DecodedBlock,
    table: &mut [AdagradCell],
) -> f64 {
    let keys: Vec<_> = block.keys.iter().copied().chain([64]).collect();
    let mut cells: Vec<_> = keys.iter().map(|key| table[*key as usize]).collect();
    let optimizer = adagrad.scaled(job.rate_factor(pass));
    let rows = Rows { block, order: None };
    let loss = job.model().learn(optimizer, rows, &mut cells, &mut Scratch::default());
    keys.iter().zip(cells).for_each(|(key, cell)| table[*key as usize] = cell);
    loss
}

#[test]
fn the_same_block_gives_the_same_update_whatever_was_learnt_before() {
    let job = job(r#", "shuffle": true, "seed": 5"#);
    let blocks = [1, 2].map(|seed| block(6, &planted_rows(seed, 300)));
    let mut keys = Vec::new();
    let mut fresh = learner::new(&job);
    fresh.keys(&blocks[0], &mut keys);
    let cells = untrained_cells(&job, &keys);
    let (mut first, mut second) = (Vec::new(), vec![7; 5]);
    let one = fresh.learn(name(0, 0), &blocks[0], &cells, REFERENCE, &mut first).unwrap();

    let mut used = factory()(job.to_json().as_bytes()).unwrap();
    let mut other = Vec::new();
    used.keys(&blocks[1], &mut other);
    let other = untrained_cells(&job, &other);
    used.learn(name(3, 1), &blocks[1], &other, REFERENCE, &mut second).unwrap();
    let two = used.learn(name(0, 0), &blocks[0], &cells, REFERENCE, &mut second).unwrap();
    assert_eq!((one, &first), (two, &second));
    assert_eq!(Update::parse(&first).unwrap().keys(), REFERENCE);
    assert_eq!(Update::parse(&first).unwrap().columns(), 3);

    // Shuffled rows come in another order under another name, and the update differs.
    used.learn(name(1, 0), &blocks[0], &cells, REFERENCE, &mut second).unwrap();
    assert_ne!(first, second);
}

#[test]
fn rates_decay_from_pass_to_pass() {
    let job = job(r#", "optimizer": "sgd", "rate": 0.001, "rate_decay": 0.5"#);
    let block = block(6, &planted_rows(1, 20));
    let mut learner = learner::new(&job);
    let mut keys = Vec::new();
    learner.keys(&block, &mut keys);
    let cells = untrained_cells(&job, &keys);
    let mut gradients = [0, 1].map(|pass| {
        let mut update = Vec::new();
        learner.learn(name(pass, 0), &block, &cells, REFERENCE, &mut update).unwrap();
        let column = Update::parse(&update).unwrap().column(0).unwrap().to_vec();
        column.iter().map(|g| g.get()).collect::<Vec<_>>()
    });
    // At so small a rate the gradients hardly change within the block: half the rate is half the way.
    gradients[1].iter_mut().for_each(|g| *g *= 2.0);
    for (full, half) in gradients[0].iter().zip(&gradients[1]) {
        assert!((full - half).abs() < 0.02 * full.abs() + 0.02, "{full} {half}");
    }
    assert!(gradients[0].iter().any(|g| g.abs() > 0.5));
}

#[test]
fn cells_of_another_length_are_refused() {
    let block = block(6, &[(1.0, vec![(3, 1.0)])]);
    let mut learner = learner::new(&job(""));
    for bytes in [0, 8, 15, 17, 24] {
        let error =
            learner.learn(name(0, 0), &block, &vec![0; bytes], REFERENCE, &mut Vec::new()).unwrap_err();
        assert_eq!(error, LearnError::Cells { found: bytes as u64, expected: 16 });
    }
}

#[test]
fn labels_other_than_0_and_1_are_refused() {
    let block = block(6, &[(1.0, vec![(3, 1.0)]), (2.5, vec![(3, 1.0)])]);
    let mut learner = learner::new(&job(""));
    let error = learner.learn(name(0, 0), &block, &[0; 16], REFERENCE, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("2.5"), "{error}");
}

#[test]
fn divergence_names_the_pass_and_the_block() {
    let rows: Vec<_> =
        (0..40).map(|i| (f32::from(u8::from(i % 2 == 0)), vec![(1, 3e38), (2, -3e38)])).collect();
    let block = block(6, &rows);
    let mut trainer = LocalTrainer::new(&job(r#", "optimizer": "sgd", "rate": 10"#));
    let error = trainer.learn(name(2, 5), &block).unwrap_err().to_string();
    assert!(error.contains("diverged in pass 2, block 0/5"), "{error}");
}

#[test]
fn a_job_that_cannot_be_used_is_refused_by_the_factories() {
    let text = br#"{"hash_bits": 6, "inertia": 0.9}"#;
    let error = factory()(text).err().unwrap();
    assert!(error.to_string().contains("inertia"), "{error}");
    let error = table::factory()(text).err().unwrap();
    assert!(error.to_string().contains("inertia"), "{error}");
}

/// The original's L2 had the wrong sign and ended in NaN at a strength of 0.5.
#[test]
fn strong_l2_shrinks_the_model_instead_of_blowing_it_up() {
    let block = block(6, &planted_rows(4, 2000));
    let norm = |parameters: &str| {
        let job = job(parameters);
        let mut trainer = LocalTrainer::new(&job);
        for pass in 0..10 {
            trainer.learn(name(pass, 0), &block).unwrap();
        }
        let cells: Vec<AdagradCell> = cells_of(view_floats(trainer.cells()).unwrap()).collect();
        cells.iter().map(|cell| cell.weight * cell.weight).sum::<f32>()
    };
    let (none, strong) = (norm(""), norm(r#", "l2": 0.5"#));
    assert!(strong < 0.2 * none, "{strong} {none}");
}

/// Eight workers read the same cells, then all their updates arrive: every feature is common to all of them, which
/// is the worst case. They must not add up their steps and overshoot.
#[test]
fn workers_that_race_end_near_where_one_worker_ends() {
    let blocks: Vec<_> = (0..32).map(|seed| block(6, &planted_rows(seed, 100))).collect();
    let job = job(r#", "rate": 0.5"#);
    let loss_of_last_pass = |racing: usize, told_what_they_read: bool| {
        let (mut learner, mut table) = (learner::new(&job), table::new(&job));
        let mut loss = 0.0;
        for pass in 0..5 {
            loss = 0.0;
            for round in (0..).zip(&blocks).collect::<Vec<_>>().chunks(racing) {
                let updates: Vec<_> = round
                    .iter()
                    .map(|(i, block)| {
                        let (mut keys, mut cells, mut update) = (Vec::new(), Vec::new(), Vec::new());
                        learner.keys(block, &mut keys);
                        table.read(&keys, &mut cells);
                        let report = learner.learn(name(pass, *i), block, &cells, REFERENCE, &mut update);
                        loss += report.unwrap().loss_sum / 3200.0;
                        (keys, update)
                    })
                    .collect();
                for (keys, update) in updates {
                    let update = Update::parse(&update).unwrap();
                    let mut columns = [0, 1, 2].map(|column| {
                        update.column(column).unwrap().iter().map(|value| value.get()).collect::<Vec<_>>()
                    });
                    if !told_what_they_read {
                        columns[2].fill(f32::MAX);
                    }
                    let mut bytes = Vec::new();
                    encode(REFERENCE, &columns.each_ref().map(Vec::as_slice), &mut bytes).unwrap();
                    let of = Origin { pass: Pass(pass), rows: 100 };
                    table.apply(&keys, Update::parse(&bytes).unwrap(), of);
                }
            }
        }
        loss
    };
    let (one, eight) = (loss_of_last_pass(1, true), loss_of_last_pass(8, true));
    assert!((one - eight).abs() < 0.01, "{one} alone, {eight} racing");
    let adding_up = loss_of_last_pass(8, false);
    assert!(adding_up > eight + 0.02, "{adding_up} if steps added up, {eight} racing");
}
