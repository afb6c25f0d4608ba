//! What can go wrong with which service.

use super::random::Random;
use super::services::Service;
use super::spec::Role;
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
