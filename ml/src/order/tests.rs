use std::collections::BTreeSet;

use cirrus_core::ids::{BlockId, GradientName, Pass};

use super::{SplitMix, of_blocks, of_rows};

fn blocks(count: u32) -> Vec<BlockId> {
    (0..count).map(|block| BlockId { partition: block / 4, block: block % 4 }).collect()
}

fn positions(seed: u64, pass: u32, count: u32) -> Vec<u32> {
    of_blocks(seed, Pass(pass), blocks(count)).iter().map(|id| id.partition * 4 + id.block).collect()
}

// Golden orders, for ever:
// python3 -c 'M=2**64-1
// def nxt(s):
//   s[0]=z=(s[0]+0x9e3779b97f4a7c15)&M
//   z=(z^(z>>30))*0xbf58476d1ce4e5b9&M;z=(z^(z>>27))*0x94d049bb133111eb&M;return z^(z>>31)
// def order(seed,words,n):
//   for w in words: seed=nxt([seed^w])
//   s=[seed];o=list(range(n))
//   for i in range(n-1,0,-1):
//     while 1:
//       p=(nxt(s)>>32)*(i+1)
//       if p%2**32>=(2**32-i-1)%(i+1): break
//     j=p>>32;o[i],o[j]=o[j],o[i]
//   return o
// for a in ((1,[1,0],10),(1,[1,1],10),(2,[1,0],10),(7,[2,3,1,4,0],12)): print(order(*a))'
#[test]
fn the_order_is_the_same_for_ever() {
    assert_eq!(positions(1, 0, 10), [4, 7, 0, 5, 9, 3, 6, 2, 8, 1]);
    assert_eq!(positions(1, 1, 10), [0, 8, 6, 1, 7, 9, 3, 4, 5, 2]);
    assert_eq!(positions(2, 0, 10), [6, 1, 5, 4, 2, 9, 8, 7, 0, 3]);
    let name = GradientName { pass: Pass(3), block: BlockId { partition: 1, block: 4 }, part: 0 };
    let mut rows = vec![9; 3];
    of_rows(7, name, 12, &mut rows);
    assert_eq!(rows, [6, 11, 2, 5, 4, 8, 0, 9, 1, 10, 7, 3]);
}

#[test]
fn the_generator_is_the_published_one() {
    // The first numbers of the reference implementation in C with the seed 1234567.
    let mut random = SplitMix(1_234_567);
    let golden = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
    assert_eq!(golden.map(|_| random.next()), golden);
}

#[test]
fn every_block_comes_once_a_pass_in_another_order() {
    for count in [0, 1, 2, 1000] {
        let order = of_blocks(5, Pass(0), blocks(count));
        assert_eq!(order.len(), count as usize);
        assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), count as usize);
    }
    let orders: BTreeSet<_> =
        (0..50).flat_map(|seed| [0, 1, 2].map(|pass| positions(seed, pass, 20))).collect();
    assert_eq!(orders.len(), 150, "passes and seeds differ");
}

#[test]
fn every_place_is_equally_likely() {
    let mut counts = [[0_u32; 5]; 5];
    for seed in 0..20_000 {
        for (place, block) in positions(seed, 0, 5).into_iter().enumerate() {
            counts[place][block as usize] += 1;
        }
    }
    // 4,000 expected; the standard deviation is 57.
    assert!(counts.as_flattened().iter().all(|count| count.abs_diff(4000) < 300), "{counts:?}");
}

#[test]
fn rows_of_another_pass_block_or_part_come_in_another_order() {
    let name = |pass, partition, block, part| GradientName {
        pass: Pass(pass),
        block: BlockId { partition, block },
        part,
    };
    let names = [name(0, 0, 0, 0), name(1, 0, 0, 0), name(0, 1, 0, 0), name(0, 0, 1, 0), name(0, 0, 0, 1)];
    let orders = names.map(|name| {
        let mut order = Vec::new();
        of_rows(1, name, 100, &mut order);
        order
    });
    assert_eq!(orders.iter().collect::<BTreeSet<_>>().len(), names.len());
}
