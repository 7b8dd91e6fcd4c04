//! What a workload draws: streams of the one seeded generator, so that a seed names a run.

use osd_detect::rng::Rng as Source;

pub(crate) struct Rng(Source);

impl Rng {
    /// The generator of stream `stream` of a run: threads share a seed and never a sequence.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = Self(Source(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95)));
        rng.next_u64();
        rng
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0.bits()
    }

    /// Uniform in `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0.unit()
    }

    /// Uniform in `0..n`; `n` is at least 1.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n - 1)
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Log-normal, `sigma` in natural log units, cut to `min..=max`.
    pub(crate) fn log_normal(&mut self, median: f64, sigma: f64, min: usize, max: usize) -> usize {
        let normal = self.0.normal();
        ((median * (sigma * normal).exp()) as usize).clamp(min, max)
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn same_seed_and_stream_repeat() {
        let take = |seed, stream| {
            let mut rng = Rng::new(seed, stream);
            [rng.next_u64(), rng.next_u64(), rng.next_u64()]
        };
        assert_eq!(take(7, 1), take(7, 1));
        assert_ne!(take(7, 1), take(7, 2));
        assert_ne!(take(7, 1), take(8, 1));
    }

    #[test]
    fn draws_stay_in_range() {
        let mut rng = Rng::new(1, 0);
        let mut above = 0;
        for _ in 0..10_000 {
            assert!(rng.below(3) < 3);
            assert!((0.0..1.0).contains(&rng.unit()));
            let size = rng.log_normal(1024.0, 1.0, 64, 65_536);
            assert!((64..=65_536).contains(&size));
            above += usize::from(size > 1024);
        }
        assert!((4500..5500).contains(&above), "the median is 1024, {above} of 10000 lie above");
    }
}
