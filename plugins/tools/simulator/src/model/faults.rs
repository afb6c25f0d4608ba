//! What can go wrong with a service, what that does to it, and what puts it right.

use super::random::Random;
use super::services::{Role, Service};
use incident_contract::FaultKind;
use mandate_sdk::schemars::JsonSchema;
use mandate_sdk::serde::{Deserialize, Serialize};

/// The form that a fault takes. Several forms are of one kind: they look alike and differ in what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "mandate_sdk::serde", rename_all = "snake_case")]
#[schemars(crate = "mandate_sdk::schemars")]
pub enum Form {
    /// Most calls are stuck for a while.
    SlowCalls,
    /// Many calls end in an exception.
    Exceptions,
    /// Memory grows until nothing but collecting garbage is done.
    HeapGrowth,
    /// Threads that never end take the processor.
    BusyThreads,
    /// A client that nobody watches asks too much of it: its pool is full.
    LoadSurge,
    /// The new version is slow.
    SlowVersion,
    /// The new version fails.
    FailingVersion,
    /// What it depends on refuses connections.
    Refused,
    /// What it depends on does not answer.
    Unanswered,
    /// Its pool was made too small.
    PoolSize,
    /// It no longer waits long enough for those that it calls.
    Timeout,
    /// It logs everything.
    LogLevel,
    /// The cache was made too small to be of use.
    CacheSize,
}

use Form::*;

impl Form {
    /// All of them.
    pub const ALL: [Self; 13] = [
        SlowCalls,
        Exceptions,
        HeapGrowth,
        BusyThreads,
        LoadSurge,
        SlowVersion,
        FailingVersion,
        Refused,
        Unanswered,
        PoolSize,
        Timeout,
        LogLevel,
        CacheSize,
    ];

    /// As the contract names it.
    pub fn kind(self) -> FaultKind {
        match self {
            SlowCalls => FaultKind::Latency,
            Exceptions => FaultKind::Errors,
            HeapGrowth => FaultKind::Leak,
            BusyThreads => FaultKind::Cpu,
            LoadSurge => FaultKind::Saturation,
            SlowVersion | FailingVersion => FaultKind::BadDeployment,
            Refused | Unanswered => FaultKind::DependencyLoss,
            PoolSize | Timeout | LogLevel | CacheSize => FaultKind::Configuration,
        }
    }

    /// Whether a service can have it.
    pub fn fits(self, service: Service) -> bool {
        let spec = service.spec();
        let own_code = matches!(spec.role, Role::Frontend | Role::Api);
        match self {
            SlowCalls | Exceptions => true,
            HeapGrowth => own_code || spec.role == Role::Cache,
            BusyThreads | LoadSurge => own_code || spec.role == Role::Database,
            SlowVersion | FailingVersion | LogLevel => own_code,
            Refused | Unanswered => spec.external.is_some(),
            PoolSize => matches!(spec.role, Role::Database | Role::Queue),
            // Caches answer in time all the same.
            Timeout => {
                let calls = spec.calls.iter();
                own_code
                    && calls
                        .map(|call| call.to.spec().role)
                        .any(|role| role != Role::Cache)
            }
            CacheSize => spec.role == Role::Cache,
        }
    }

    /// The setting that was changed, from what, to what.
    pub fn setting(self) -> Option<(&'static str, &'static str, &'static str)> {
        match self {
            PoolSize => Some(("pool.size", "50", "4")),
            Timeout => Some(("upstream.timeout_ms", "2000", "5")),
            LogLevel => Some(("log.level", "info", "trace")),
            CacheSize => Some(("cache.max_memory_mib", "4096", "64")),
            _ => None,
        }
    }

    /// What happened, for people.
    pub fn story(self, service: Service) -> String {
        let name = service.name();
        let external = service.spec().external.map_or("", |external| external.name);
        match self {
            SlowCalls => format!("most calls of {name} are stuck for a while"),
            Exceptions => format!("many calls of {name} end in an exception"),
            HeapGrowth => format!("the memory of {name} grows and is never freed"),
            BusyThreads => format!("threads of {name} spin and take the processor"),
            LoadSurge => format!("a batch client sends {name} more than it can do"),
            SlowVersion => format!("a new version of {name} is slow"),
            FailingVersion => format!("a new version of {name} fails"),
            Refused => format!("{external}, which {name} needs, refuses connections"),
            Unanswered => format!("{external}, which {name} needs, does not answer"),
            PoolSize | Timeout | LogLevel | CacheSize => {
                let (key, from, to) = self.setting().unwrap_or_default();
                format!("{key} of {name} was changed from {from} to {to}")
            }
        }
    }
}

/// Everything that can go wrong, of a kind and at a service if those are given.
pub fn possible(kind: Option<FaultKind>, service: Option<Service>) -> Vec<(Form, Service)> {
    let pairs = Form::ALL
        .into_iter()
        .flat_map(|form| Service::ALL.into_iter().map(move |service| (form, service)));
    pairs
        .filter(|(form, at)| {
            kind.is_none_or(|kind| form.kind() == kind)
                && service.is_none_or(|service| *at == service)
                && form.fits(*at)
        })
        .collect()
}

/// Every kind that there is.
pub const KINDS: [FaultKind; 8] = [
    FaultKind::Latency,
    FaultKind::Errors,
    FaultKind::Leak,
    FaultKind::Cpu,
    FaultKind::Saturation,
    FaultKind::BadDeployment,
    FaultKind::DependencyLoss,
    FaultKind::Configuration,
];

/// Chooses what goes wrong next: first the kind, so that kinds are equally frequent, then form and service.
/// `taken` are services that have a fault already.
pub fn choose(
    random: &mut Random,
    kind: Option<FaultKind>,
    service: Option<Service>,
    taken: &[Service],
) -> Option<(Form, Service)> {
    let of = |kind: &FaultKind| {
        let mut pairs = possible(Some(*kind), service);
        pairs.retain(|(_, at)| !taken.contains(at));
        pairs
    };
    let kinds: Vec<_> = KINDS
        .iter()
        .filter(|one| kind.is_none_or(|kind| kind == **one))
        .map(of)
        .filter(|pairs| !pairs.is_empty())
        .collect();
    let pairs = random.pick(&kinds)?;
    random.pick(pairs).copied()
}

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

/// What can be done to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "mandate_sdk::serde", rename_all = "kebab-case")]
#[schemars(crate = "mandate_sdk::schemars")]
pub enum Action {
    /// All its replicas, one after the other.
    Restart,
    /// What it keeps copies of is forgotten.
    ClearCache,
    /// It gets more or fewer replicas.
    Scale,
    /// To the version and configuration before the last change.
    RollBack,
    /// From what it depends on to a standby of that.
    FailOver,
}

impl Action {
    /// As it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::ClearCache => "clear-cache",
            Self::Scale => "scale",
            Self::RollBack => "roll-back",
            Self::FailOver => "fail-over",
        }
    }

    /// Whether it puts a fault right. `growth` is how many times more replicas there are than usual.
    pub fn cures(self, form: Form, service: Service, growth: f64) -> bool {
        let cache = service.spec().role == Role::Cache;
        match self {
            Self::Restart => matches!(form, SlowCalls | Exceptions | HeapGrowth | BusyThreads),
            Self::ClearCache => cache && matches!(form, SlowCalls | Exceptions | HeapGrowth),
            Self::Scale => form == LoadSurge && growth >= 1.5,
            Self::RollBack => {
                matches!(
                    form.kind(),
                    FaultKind::BadDeployment | FaultKind::Configuration
                )
            }
            Self::FailOver => form.kind() == FaultKind::DependencyLoss,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_can_happen_somewhere_and_has_a_cure() {
        for kind in KINDS {
            let possible = possible(Some(kind), None);
            assert!(possible.len() >= 4, "{kind:?}: {possible:?}");
            for (form, service) in possible {
                let actions = [
                    Action::Restart,
                    Action::ClearCache,
                    Action::Scale,
                    Action::RollBack,
                    Action::FailOver,
                ];
                let cures = actions
                    .iter()
                    .filter(|action| action.cures(form, service, 2.0));
                assert!(cures.count() >= 1, "{form:?} at {}", service.name());
                assert!(form.story(service).contains(service.name()));
            }
        }
    }

    #[test]
    fn scaling_a_little_is_not_enough() {
        assert!(!Action::Scale.cures(LoadSurge, Service::Search, 1.2));
        assert!(Action::Scale.cures(LoadSurge, Service::Search, 1.5));
        assert!(!Action::Restart.cures(LoadSurge, Service::Search, 9.0));
    }

    #[test]
    fn what_is_chosen_fits_and_kinds_are_equally_frequent() {
        let mut random = Random::new(3, &[]);
        let mut counts = [0; 8];
        for _ in 0..4_000 {
            let (form, service) = choose(&mut random, None, None, &[Service::Web]).unwrap();
            assert!(form.fits(service) && service != Service::Web);
            counts[KINDS.iter().position(|kind| *kind == form.kind()).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (400..600).contains(count)),
            "{counts:?}"
        );
        let lost = choose(
            &mut random,
            Some(FaultKind::DependencyLoss),
            Some(Service::OrdersDb),
            &[],
        );
        assert_eq!(lost, None, "a database depends on nothing");
    }

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
