//! Time measurements on a shared machine: alternating contenders, and medians.

use std::time::Instant;

/// Returns the nanoseconds per operation of each contender, as the median over `rounds`.
///
/// A contender runs the requested number of operations. Contenders alternate, so a temporary
/// slowdown of the machine affects all of them. The first round of each is not counted.
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
