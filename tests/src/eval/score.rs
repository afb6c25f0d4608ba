//! How often the true cause was the first, and one of the first three.

/// Ranks, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    first: f64,
    third: f64,
    /// How many faults.
    pub count: usize,
}

impl Score {
    /// Counts a fault whose true cause came at this place of the ranking, from 1; none when it was not in it.
    pub fn add(&mut self, rank: Option<usize>) {
        self.count += 1;
        self.first += f64::from(u8::from(rank == Some(1)));
        self.third += f64::from(u8::from(rank.is_some_and(|rank| rank <= 3)));
    }

    /// Counts a fault for which all orders of `components` are as likely: what is expected of guessing.
    pub fn add_guess(&mut self, components: usize) {
        self.count += 1;
        if components > 0 {
            self.first += 1.0 / components as f64;
            self.third += components.min(3) as f64 / components as f64;
        }
    }

    /// The share whose true cause was the first.
    pub fn top_1(&self) -> f64 {
        self.first / self.count.max(1) as f64
    }

    /// The share whose true cause was one of the first three.
    pub fn top_3(&self) -> f64 {
        self.third / self.count.max(1) as f64
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "top-1 {:.2} top-3 {:.2} n {}",
            self.top_1(),
            self.top_3(),
            self.count
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Score;

    #[test]
    fn places_are_counted_from_one() {
        let mut score = Score::default();
        assert_eq!(score.to_string(), "top-1 0.00 top-3 0.00 n 0");
        for rank in [Some(1), Some(3), Some(4), None] {
            score.add(rank);
        }
        assert_eq!(score.to_string(), "top-1 0.25 top-3 0.50 n 4");
    }

    #[test]
    fn guessing_has_an_expectation() {
        let mut guess = Score::default();
        guess.add_guess(30);
        assert_eq!(guess.to_string(), "top-1 0.03 top-3 0.10 n 1");
        guess.add_guess(2);
        assert!((guess.top_3() - (0.1 + 1.0) / 2.0).abs() < 1e-9);
    }
}
