//! The median, and the rank sum test of Mann and Whitney.

/// The middle of what was seen.
pub(super) fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    let half = times.len() / 2;
    if times.len() % 2 == 1 { times[half] } else { f64::midpoint(times[half - 1], times[half]) }
}

/// By how many standard deviations the ranks of the first sample differ from
/// what chance would give, were both of one distribution: normal
/// approximation, good from some 10 values each. Equal values share a rank.
pub(super) fn rank_sum_z(first: &[f64], second: &[f64]) -> f64 {
    let below = |a: f64, b: f64| match a.total_cmp(&b) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    };
    let u: f64 = first.iter().map(|a| second.iter().map(|b| below(*a, *b)).sum::<f64>()).sum();
    let count = |of: &[f64]| f64::from(u32::try_from(of.len()).unwrap());
    let (m, n) = (count(first), count(second));
    (u - m * n / 2.0) / (m * n * (m + n + 1.0) / 12.0).sqrt()
}

/// Numbers that look random and are the same each time.
fn noise(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 40).unwrap()) / f64::from(1 << 24)
    })
}

#[test]
fn the_test_accepts_what_is_the_same_and_refuses_what_is_shifted() {
    let (mut refused_same, mut accepted_shifted) = (0, 0);
    for seed in 0..200 {
        let first: Vec<f64> = noise(seed).take(30).collect();
        let second: Vec<f64> = noise(seed + 1_000_000).take(30).collect();
        // By most of the whole spread.
        let shifted: Vec<f64> = second.iter().map(|one| one + 0.8).collect();
        refused_same += usize::from(rank_sum_z(&first, &second).abs() >= 4.0);
        accepted_shifted += usize::from(rank_sum_z(&first, &shifted).abs() < 4.0);
    }
    assert_eq!((refused_same, accepted_shifted), (0, 0));
    assert!(rank_sum_z(&[1.0; 30], &[2.0; 30]) < -6.0, "nothing in common");
    assert!(rank_sum_z(&[1.0; 30], &[1.0; 30]).abs() < f64::EPSILON, "all the same");
}

#[test]
fn the_median_is_the_middle() {
    assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    assert!((median(&[4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < f64::EPSILON);
}
