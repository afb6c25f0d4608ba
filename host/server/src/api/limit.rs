//! How often callers may ask, so that one of them cannot take the host from the others.

use super::error::{ApiError, ApiResult};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use mandate_types::PrincipalName;
use std::net::IpAddr;
use std::num::NonZeroU32;

/// Tokens that the host does not know at once, per second and address. Generous: many callers
/// may stand behind one address.
const STRANGERS_PER_SECOND: u32 = 200;

/// The rates of all callers.
pub struct Rates {
    clock: DefaultClock,
    principals: DefaultKeyedRateLimiter<PrincipalName>,
    peers: DefaultKeyedRateLimiter<IpAddr>,
}

fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
}

impl Rates {
    /// So many requests per second and principal, and as a burst.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let principals = Quota::per_second(number(per_second)).allow_burst(number(burst));
        let peers = Quota::per_second(number(STRANGERS_PER_SECOND))
            .allow_burst(number(STRANGERS_PER_SECOND.saturating_mul(2)));
        Self {
            clock: DefaultClock::default(),
            principals: DefaultKeyedRateLimiter::keyed(principals),
            peers: DefaultKeyedRateLimiter::keyed(peers),
        }
    }

    /// One request of a principal.
    ///
    /// # Errors
    /// 429 when it was one too many.
    pub fn principal(&self, name: &PrincipalName) -> ApiResult<()> {
        self.principals.check_key(name).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            ApiError::too_many(
                &format!("`{name}` asks more often than this host allows"),
                wait,
            )
        })
    }

    /// One token that is not known at once, from an address.
    ///
    /// # Errors
    /// 429 when it was one too many.
    pub fn stranger(&self, peer: IpAddr) -> ApiResult<()> {
        self.peers.check_key(&peer).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            ApiError::too_many("too many unknown tokens come from this address", wait)
        })
    }

    /// Forgets callers who have not asked for a while.
    pub fn tidy(&self) {
        self.principals.retain_recent();
        self.peers.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_is_refused_and_others_are_not() {
        let rates = Rates::new(1, 2);
        let (a, b) = (
            PrincipalName::parse("a").unwrap(),
            PrincipalName::parse("b").unwrap(),
        );
        assert!(rates.principal(&a).is_ok() && rates.principal(&a).is_ok());
        assert_eq!(rates.principal(&a).unwrap_err().problem.status, 429);
        assert!(rates.principal(&b).is_ok());
    }
}
