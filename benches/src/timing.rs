//! Measuring time where others use the machine too: contenders take turns, and medians count.

use std::time::Instant;

/// Nanoseconds for each operation of each contender, as the median over `rounds`.
///
/// A contender carries out as many operations as it is told. They take turns, so that whatever slows
/// the machine down for a while slows them all. A first turn of each is not counted.
pub(crate) fn medians<const N: usize>(
    rounds: usize,
    operations: u64,
    mut contenders: [&mut dyn FnMut(u64); N],
) -> [f64; N] {
    let mut taken: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(rounds));
    for round in 0..=rounds {
        for (contender, taken) in contenders.iter_mut().zip(&mut taken) {
            let start = Instant::now();
            contender(operations);
            if round > 0 {
                taken.push(start.elapsed().as_nanos() as f64 / operations as f64);
            }
        }
    }
    taken.map(|mut taken| {
        taken.sort_by(f64::total_cmp);
        taken[taken.len() / 2]
    })
}
