//! So much in a minute, filled again all the time. What was taken for a request can be given back
//! once it is known that less was used, which limiters of rates that are libraries do not have.

use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::Instant;

const MINUTE: f64 = 60.0;

/// What is left of a minute's worth.
pub struct Bucket {
    most: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub fn of(in_a_minute: NonZeroU32) -> Self {
        let most = f64::from(in_a_minute.get());
        Self {
            most,
            left: most,
            at: Instant::now(),
        }
    }

    /// How long it takes until there is so much; what is more than it holds waits until it is full.
    pub fn wait(&mut self, much: f64) -> Duration {
        let now = Instant::now();
        let filled = now.duration_since(self.at).as_secs_f64() / MINUTE * self.most;
        self.left = (self.left + filled).min(self.most);
        self.at = now;
        let missing = much.min(self.most) - self.left;
        Duration::from_secs_f64((missing / self.most * MINUTE).max(0.0))
    }

    /// Takes so much, also what is not there yet: the next wait for it.
    pub fn take(&mut self, much: f64) {
        self.left -= much;
    }

    /// Gives back what was not used.
    pub fn give_back(&mut self, much: f64) {
        self.left = (self.left + much).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(in_a_minute: u32) -> Bucket {
        Bucket::of(NonZeroU32::new(in_a_minute).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn it_fills_again_and_no_more_than_that() {
        let mut bucket = bucket(60);
        assert_eq!(bucket.wait(60.0), Duration::ZERO);
        bucket.take(60.0);
        assert_eq!(bucket.wait(1.0), Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(bucket.wait(3.0), Duration::ZERO);
        assert_eq!(bucket.wait(5.0), Duration::from_secs(2));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(bucket.wait(60.0), Duration::ZERO);
        bucket.take(60.0);
        assert_eq!(bucket.wait(60.0), Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_more_than_all_waits_for_all_and_is_paid() {
        let mut bucket = bucket(60);
        assert_eq!(bucket.wait(90.0), Duration::ZERO);
        bucket.take(90.0);
        assert_eq!(bucket.wait(1.0), Duration::from_secs(31));
        bucket.give_back(80.0);
        assert_eq!(bucket.wait(50.0), Duration::ZERO);
        bucket.give_back(80.0);
        assert_eq!(bucket.wait(60.0), Duration::ZERO, "and never more");
        bucket.take(60.0);
        assert_eq!(bucket.wait(1.0), Duration::from_secs(1));
    }
}
