//! Random numbers that depend on the seed alone: the same seed gives the same environment on every machine.

/// Mixes a number so that neighbours have nothing in common (SplitMix64).
fn mix(number: u64) -> u64 {
    let a = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let b = (a ^ (a >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let c = (b ^ (b >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    c ^ (c >> 31)
}

/// A generator: xoshiro256++.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The generator for one purpose: everything that tells it from others goes into `of`.
    pub fn new(seed: u64, of: &[u64]) -> Self {
        let start = of
            .iter()
            .fold(mix(seed), |before, word| mix(before ^ mix(*word)));
        let second = mix(start);
        let third = mix(second);
        Self {
            state: [start, second, third, mix(third)],
        }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let answer = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c2, d2) = (c ^ a, d ^ b);
        self.state = [a ^ d2, b ^ c2, c2 ^ (b << 17), d2.rotate_left(45)];
        answer
    }

    /// 0 up to, and without, 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From `low` to `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// True in a share of all cases, 0–1.
    pub fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.unit() < share
    }

    /// One of them; none of none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get((self.unit() * items.len() as f64) as usize)
    }

    /// Normally distributed, mean 0, deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Log-normally distributed, as times of answers are: `spread` is the deviation of the logarithm.
    pub fn log_normal(&mut self, median: f64, spread: f64) -> f64 {
        median * (spread * self.normal()).exp()
    }

    /// How many of many rare things happen where `mean` are expected.
    pub fn poisson(&mut self, mean: f64) -> u32 {
        if mean <= 0.0 {
            return 0;
        }
        if mean > 30.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u32;
        }
        let limit = (-mean).exp();
        let mut count = 0;
        let mut product = self.unit();
        while product > limit {
            count += 1;
            product *= self.unit();
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_purposes_differ() {
        let numbers = |seed, of: &[u64]| {
            let mut random = Random::new(seed, of);
            [random.bits(), random.bits(), random.bits()]
        };
        assert_eq!(numbers(1, &[2, 3]), numbers(1, &[2, 3]));
        assert_ne!(numbers(1, &[2, 3]), numbers(1, &[3, 2]));
        assert_ne!(numbers(1, &[2]), numbers(2, &[2]));
    }

    #[test]
    fn means_are_what_they_should_be() {
        let mut random = Random::new(7, &[]);
        let mut mean = |draw: &mut dyn FnMut(&mut Random) -> f64| {
            (0..20_000).map(|_| draw(&mut random)).sum::<f64>() / 20_000.0
        };
        assert!((mean(&mut |r| r.unit()) - 0.5).abs() < 0.01);
        assert!(mean(&mut |r| r.normal()).abs() < 0.03);
        assert!((mean(&mut |r| f64::from(r.poisson(3.0))) - 3.0).abs() < 0.05);
        assert!((mean(&mut |r| f64::from(r.poisson(300.0))) - 300.0).abs() < 1.0);
        assert!((mean(&mut |r| f64::from(u8::from(r.chance(0.2)))) - 0.2).abs() < 0.02);
        let median_half = mean(&mut |r| f64::from(u8::from(r.log_normal(2.0, 0.5) < 2.0)));
        assert!((median_half - 0.5).abs() < 0.02);
    }

    #[test]
    fn nothing_is_picked_of_nothing() {
        let mut random = Random::new(0, &[]);
        assert_eq!(random.pick::<u8>(&[]), None);
        assert_eq!(random.poisson(0.0), 0);
        assert!(!random.chance(0.0));
    }
}
