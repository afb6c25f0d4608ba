//! What a fault does to its service, from moment to moment.

use super::faults::Form::{self, *};
use super::random::Random;
use super::services::Service;
use super::spec::Role;

/// What a fault does to a service at one moment. Several faults add up.
#[derive(Clone, Debug, PartialEq)]
pub struct Strain {
    /// Share of calls that are held up, and for how long on average, in seconds.
    pub held_share: f64,
    /// As above.
    pub held: f64,
    /// How long callers wait before the service even sees their call, on average, in seconds.
    pub queued: f64,
    /// Share of calls that fail.
    pub errors: f64,
    /// The processor is at least so busy, 0–1.
    pub cpu: f64,
    /// Memory is at least so full, 0–1.
    pub memory: f64,
    /// Its pool is at least so full, 0–1.
    pub saturation: f64,
    /// Requests of a client that nobody watches, as a multiple of the usual ones.
    pub foreign: f64,
    /// The share of requests that a cache can still answer, as a share of the usual one.
    pub hits: f64,
    /// How long it waits for those that it calls, at most, in seconds.
    pub timeout: f64,
    /// Share of calls of its unwatched dependency that are refused.
    pub refused: f64,
    /// Share of calls of its unwatched dependency that are never answered.
    pub unanswered: f64,
}

impl Default for Strain {
    fn default() -> Self {
        Self {
            held_share: 0.0,
            held: 0.0,
            queued: 0.0,
            errors: 0.0,
            cpu: 0.0,
            memory: 0.0,
            saturation: 0.0,
            foreign: 0.0,
            hits: 1.0,
            timeout: f64::INFINITY,
            refused: 0.0,
            unanswered: 0.0,
        }
    }
}

impl Strain {
    /// Both at once.
    pub fn and(self, other: Self) -> Self {
        Self {
            held_share: self.held_share.max(other.held_share),
            held: self.held + other.held,
            queued: self.queued + other.queued,
            errors: 1.0 - (1.0 - self.errors) * (1.0 - other.errors),
            cpu: self.cpu.max(other.cpu),
            memory: self.memory.max(other.memory),
            saturation: self.saturation.max(other.saturation),
            foreign: self.foreign + other.foreign,
            hits: self.hits.min(other.hits),
            timeout: self.timeout.min(other.timeout),
            refused: self.refused.max(other.refused),
            unanswered: self.unanswered.max(other.unanswered),
        }
    }
}

/// How long a call is held up where a role's calls are usually this quick, in seconds: enough to be felt.
fn hold(role: Role) -> f64 {
    match role {
        Role::Frontend => 1.4,
        Role::Api => 1.1,
        Role::Cache => 0.35,
        Role::Database | Role::Queue => 0.9,
    }
}

/// Memory grows for so many seconds until it is full.
const LEAK: f64 = 40.0;

/// A fault: what it is and how bad.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What it is.
    pub form: Form,
    /// Where.
    pub service: Service,
    /// 1 is usual; from 0.5 to 3.
    pub strength: f64,
    /// Tells it from other faults of the same form, so that no two are quite alike.
    pub nature: u64,
}

impl Fault {
    /// What it does to its service so many seconds after it began.
    pub fn strain(&self, seconds: f64) -> Strain {
        let mut random = Random::new(self.nature, &[1]);
        let role = self.service.spec().role;
        let hold = hold(role) * self.strength * random.between(0.9, 1.4);
        let share = random.between(0.6, 0.85);
        let errors = (random.between(0.4, 0.65) * self.strength.sqrt()).min(0.95);
        let calm = Strain::default();
        match self.form {
            SlowCalls => Strain {
                held_share: share,
                held: hold,
                ..calm
            },
            Exceptions => Strain { errors, ..calm },
            HeapGrowth => {
                let memory = self.service.spec().memory;
                let full = (seconds / LEAK).clamp(0.0, 1.0);
                // Collecting garbage begins to hurt when little is left.
                let hurt = ((full - 0.4) / 0.6).clamp(0.0, 1.0);
                Strain {
                    memory: memory + (0.98 - memory) * full,
                    held_share: share * hurt,
                    held: hold,
                    cpu: 0.45 * hurt,
                    ..calm
                }
            }
            BusyThreads => Strain {
                cpu: random.between(0.94, 1.0),
                held_share: share,
                held: hold * 0.8,
                ..calm
            },
            LoadSurge => Strain {
                foreign: random.between(1.5, 2.5) * self.strength,
                saturation: random.between(0.97, 1.0),
                // The longer part of the wait is before it is even seen: it shows at the callers.
                queued: hold,
                held_share: share,
                held: hold * 0.45,
                errors: 0.06,
                cpu: random.between(0.5, 0.7),
                ..calm
            },
            SlowVersion => Strain {
                held_share: share,
                held: hold,
                cpu: random.between(0.3, 0.5),
                ..calm
            },
            FailingVersion => Strain { errors, ..calm },
            Refused => Strain {
                refused: (0.7 * self.strength).min(0.98),
                ..calm
            },
            Unanswered => Strain {
                unanswered: (0.6 * self.strength).min(0.95),
                ..calm
            },
            PoolSize => Strain {
                saturation: 1.0,
                queued: hold,
                held_share: share,
                held: hold * 0.5,
                errors: 0.05,
                ..calm
            },
            Timeout => Strain {
                timeout: 0.005,
                ..calm
            },
            LogLevel => Strain {
                cpu: random.between(0.7, 0.85),
                held_share: share,
                held: hold * 0.8,
                ..calm
            },
            CacheSize => Strain {
                hits: 0.05,
                memory: 0.99,
                saturation: 0.99,
                held_share: share,
                held: hold * 0.6,
                ..calm
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_grows_and_two_faults_add_up() {
        let leak = Fault {
            form: HeapGrowth,
            service: Service::Users,
            strength: 1.0,
            nature: 4,
        };
        assert_eq!(leak.strain(0.0).held_share, 0.0);
        assert!(leak.strain(20.0).memory > leak.strain(5.0).memory);
        assert!(leak.strain(500.0).memory < 1.0);
        let slow = Fault {
            form: SlowCalls,
            ..leak.clone()
        };
        let both = leak.strain(60.0).and(slow.strain(60.0));
        assert!(both.held > slow.strain(0.0).held && both.memory > 0.9);
        assert_eq!(
            Strain::default().and(slow.strain(1.0)),
            slow.strain(1.0),
            "calm adds nothing"
        );
    }
}
