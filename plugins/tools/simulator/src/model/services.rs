//! Which services there are, what each is like when it is well, and who calls whom how often.

use mandate_sdk::schemars::JsonSchema;
use mandate_sdk::serde::{Deserialize, Serialize};
use std::ops::{Index, IndexMut};

/// A service of the simulated environment: a shop on the web.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(crate = "mandate_sdk::serde", rename_all = "kebab-case")]
#[schemars(crate = "mandate_sdk::schemars")]
#[allow(missing_docs)] // the names say it
pub enum Service {
    Web,
    Gateway,
    Catalogue,
    Search,
    Recommendations,
    Carts,
    Users,
    Checkout,
    Payments,
    Notifications,
    CatalogueCache,
    SessionCache,
    CatalogueDb,
    UsersDb,
    OrdersDb,
    OrdersQueue,
}

use Service::*;

/// How many services there are.
const COUNT: usize = 16;

impl Service {
    /// All of them, in a fixed order.
    pub const ALL: [Self; COUNT] = [
        Web,
        Gateway,
        Catalogue,
        Search,
        Recommendations,
        Carts,
        Users,
        Checkout,
        Payments,
        Notifications,
        CatalogueCache,
        SessionCache,
        CatalogueDb,
        UsersDb,
        OrdersDb,
        OrdersQueue,
    ];

    /// As in the label `service` and in the topology.
    pub fn name(self) -> &'static str {
        match self {
            Web => "web",
            Gateway => "gateway",
            Catalogue => "catalogue",
            Search => "search",
            Recommendations => "recommendations",
            Carts => "carts",
            Users => "users",
            Checkout => "checkout",
            Payments => "payments",
            Notifications => "notifications",
            CatalogueCache => "catalogue-cache",
            SessionCache => "session-cache",
            CatalogueDb => "catalogue-db",
            UsersDb => "users-db",
            OrdersDb => "orders-db",
            OrdersQueue => "orders-queue",
        }
    }

    /// The service of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }
}

/// One value for each service.
#[derive(Clone, Debug, PartialEq)]
pub struct PerService<T>([T; COUNT]);

impl<T> PerService<T> {
    /// What `make` gives for each.
    pub fn each(make: impl FnMut(Service) -> T) -> Self {
        Self(Service::ALL.map(make))
    }

    /// Service and value, in the fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (Service, &T)> {
        Service::ALL.into_iter().zip(&self.0)
    }
}

#[allow(clippy::indexing_slicing)] // a service is one of COUNT, and there are COUNT values
impl<T> Index<Service> for PerService<T> {
    type Output = T;

    fn index(&self, service: Service) -> &T {
        &self.0[service as usize]
    }
}

#[allow(clippy::indexing_slicing)] // as above
impl<T> IndexMut<Service> for PerService<T> {
    fn index_mut(&mut self, service: Service) -> &mut T {
        &mut self.0[service as usize]
    }
}

/// What a service does for others: how quick it is, and what can go wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// People's browsers talk to it.
    Frontend,
    /// Code of one's own.
    Api,
    /// Keeps copies in memory.
    Cache,
    /// Keeps data.
    Database,
    /// Hands messages on.
    Queue,
}

/// What a service is like when it is well. Times are in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// What it does for others.
    pub role: Role,
    /// What a caller asks it for.
    pub operation: &'static str,
    /// Median of what it works itself on a request, without those that it calls.
    pub own: f64,
    /// Deviation of the logarithm of that.
    pub spread: f64,
    /// Requests per second that one replica can do.
    pub capacity: f64,
    /// Replicas that it has.
    pub replicas: u32,
    /// Share of requests that fail for no reason worth knowing.
    pub errors: f64,
    /// Memory and processor, 0–1, when there is nothing to do.
    pub memory: f64,
    /// As above.
    pub cpu: f64,
    /// Of a cache: the share of requests that it can answer.
    pub hits: f64,
    /// What it needs that nobody here watches.
    pub external: Option<External>,
    /// Whom it calls, in this order.
    pub calls: &'static [Call],
    /// 95 % of its requests should be answered in this time. Only services with an objective have alert rules: what
    /// is wrong with the others shows at their callers.
    pub objective: Option<f64>,
}

/// A dependency that is not watched: neither in the topology nor in the telemetry.
#[derive(Clone, Copy, Debug)]
pub struct External {
    /// As log lines name it.
    pub name: &'static str,
    /// Share of requests that need it.
    pub share: f64,
    /// Median time of its answers.
    pub time: f64,
    /// How long the caller waits for it.
    pub timeout: f64,
}

/// One way in which a service calls another.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Whom.
    pub to: Service,
    /// In which share of the requests.
    pub share: f64,
    /// Only when the cache that was asked before had no answer.
    pub after_miss: bool,
    /// How long it waits, in seconds.
    pub timeout: f64,
    /// How often it tries again.
    pub retries: u32,
    /// The share of failures that it can hide from its own caller.
    pub masked: f64,
}

/// A call that is made in a share of the requests and must succeed.
const fn call(to: Service, share: f64, timeout: f64) -> Call {
    Call {
        to,
        share,
        after_miss: false,
        timeout,
        retries: 0,
        masked: 0.0,
    }
}

const fn retried(call: Call) -> Call {
    Call { retries: 1, ..call }
}

const fn masked(call: Call, masked: f64) -> Call {
    Call { masked, ..call }
}

/// A question to a cache; half of its failures are treated as misses.
const fn cached(to: Service, share: f64) -> Call {
    masked(call(to, share, 0.25), 0.5)
}

const fn after_miss(to: Service) -> Call {
    Call {
        after_miss: true,
        ..call(to, 1.0, 1.5)
    }
}

const API: Spec = Spec {
    role: Role::Api,
    operation: "",
    own: 0.01,
    spread: 0.35,
    capacity: 60.0,
    replicas: 2,
    errors: 0.0002,
    memory: 0.42,
    cpu: 0.08,
    hits: 0.0,
    external: None,
    calls: &[],
    objective: None,
};

const CACHE: Spec = Spec {
    role: Role::Cache,
    operation: "GET",
    own: 0.0015,
    spread: 0.3,
    capacity: 400.0,
    replicas: 1,
    errors: 0.0001,
    memory: 0.6,
    cpu: 0.05,
    hits: 0.85,
    ..API
};

const DATABASE: Spec = Spec {
    role: Role::Database,
    operation: "SELECT",
    own: 0.007,
    spread: 0.45,
    capacity: 60.0,
    replicas: 1,
    errors: 0.0001,
    memory: 0.68,
    cpu: 0.1,
    ..API
};

static WEB: Spec = Spec {
    role: Role::Frontend,
    operation: "GET /",
    own: 0.012,
    capacity: 70.0,
    replicas: 4,
    calls: &[call(Gateway, 1.0, 6.0)],
    objective: Some(0.9),
    ..API
};
static GATEWAY: Spec = Spec {
    operation: "route",
    own: 0.004,
    capacity: 90.0,
    replicas: 3,
    calls: &[
        call(Users, 0.22, 3.0),
        call(Catalogue, 0.5, 3.0),
        call(Search, 0.18, 3.0),
        masked(call(Recommendations, 0.3, 0.8), 0.9),
        call(Carts, 0.14, 3.0),
        call(Checkout, 0.1, 5.0),
    ],
    objective: Some(0.75),
    ..API
};
static CATALOGUE: Spec = Spec {
    operation: "GET /products",
    own: 0.009,
    replicas: 3,
    calls: &[cached(CatalogueCache, 1.0), after_miss(CatalogueDb)],
    objective: Some(0.15),
    ..API
};
static SEARCH: Spec = Spec {
    operation: "GET /search",
    own: 0.06,
    spread: 0.4,
    capacity: 22.0,
    memory: 0.55,
    calls: &[call(Catalogue, 0.5, 1.5)],
    objective: Some(0.4),
    ..API
};
static RECOMMENDATIONS: Spec = Spec {
    operation: "GET /recommendations",
    own: 0.04,
    capacity: 35.0,
    memory: 0.58,
    external: Some(External {
        name: "model-api",
        share: 0.4,
        time: 0.06,
        timeout: 0.6,
    }),
    calls: &[cached(CatalogueCache, 0.8)],
    objective: Some(0.4),
    ..API
};
static CARTS: Spec = Spec {
    operation: "GET /cart",
    own: 0.008,
    capacity: 40.0,
    calls: &[
        cached(SessionCache, 1.0),
        after_miss(OrdersDb),
        call(Catalogue, 0.3, 1.5),
    ],
    objective: Some(0.2),
    ..API
};
static USERS: Spec = Spec {
    operation: "GET /session",
    own: 0.006,
    capacity: 50.0,
    external: Some(External {
        name: "identity-provider",
        share: 0.25,
        time: 0.03,
        timeout: 1.0,
    }),
    calls: &[cached(SessionCache, 0.9), after_miss(UsersDb)],
    objective: Some(0.2),
    ..API
};
static CHECKOUT: Spec = Spec {
    operation: "POST /checkout",
    own: 0.02,
    capacity: 20.0,
    calls: &[
        retried(call(Carts, 1.0, 2.0)),
        call(Users, 0.6, 2.0),
        call(Payments, 0.9, 3.0),
        call(OrdersDb, 1.0, 1.5),
        retried(call(OrdersQueue, 1.0, 1.0)),
    ],
    objective: Some(0.75),
    ..API
};
static PAYMENTS: Spec = Spec {
    operation: "POST /payments",
    own: 0.015,
    capacity: 20.0,
    external: Some(External {
        name: "card-network",
        share: 1.0,
        time: 0.12,
        timeout: 2.0,
    }),
    calls: &[call(OrdersDb, 0.5, 1.5)],
    objective: Some(0.45),
    ..API
};
static NOTIFICATIONS: Spec = Spec {
    operation: "send",
    own: 0.012,
    capacity: 20.0,
    external: Some(External {
        name: "mail-provider",
        share: 1.0,
        time: 0.08,
        timeout: 2.0,
    }),
    calls: &[retried(call(OrdersQueue, 1.0, 1.0)), call(Users, 0.8, 2.0)],
    objective: Some(0.45),
    ..API
};
static CATALOGUE_CACHE: Spec = Spec { ..CACHE };
static SESSION_CACHE: Spec = Spec {
    hits: 0.8,
    memory: 0.5,
    ..CACHE
};
static CATALOGUE_DB: Spec = Spec { ..DATABASE };
static USERS_DB: Spec = Spec {
    own: 0.005,
    ..DATABASE
};
static ORDERS_DB: Spec = Spec {
    own: 0.009,
    capacity: 90.0,
    memory: 0.72,
    ..DATABASE
};
static ORDERS_QUEUE: Spec = Spec {
    role: Role::Queue,
    operation: "publish",
    own: 0.003,
    capacity: 120.0,
    replicas: 1,
    memory: 0.35,
    ..API
};

impl Service {
    /// What it is like when it is well.
    pub fn spec(self) -> &'static Spec {
        match self {
            Web => &WEB,
            Gateway => &GATEWAY,
            Catalogue => &CATALOGUE,
            Search => &SEARCH,
            Recommendations => &RECOMMENDATIONS,
            Carts => &CARTS,
            Users => &USERS,
            Checkout => &CHECKOUT,
            Payments => &PAYMENTS,
            Notifications => &NOTIFICATIONS,
            CatalogueCache => &CATALOGUE_CACHE,
            SessionCache => &SESSION_CACHE,
            CatalogueDb => &CATALOGUE_DB,
            UsersDb => &USERS_DB,
            OrdersDb => &ORDERS_DB,
            OrdersQueue => &ORDERS_QUEUE,
        }
    }

    /// Whether people wait for it: what is wrong here matters more.
    pub fn is_user_facing(self) -> bool {
        matches!(self, Web | Gateway | Checkout | Payments)
    }
}

/// Who calls whom, each pair once.
pub fn edges() -> Vec<(Service, Service)> {
    let of = |caller: Service| {
        caller
            .spec()
            .calls
            .iter()
            .map(move |call| (caller, call.to))
    };
    Service::ALL.into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_places_and_values_belong_together() {
        let values = PerService::each(Service::name);
        for service in Service::ALL {
            assert_eq!(values[service], service.name());
            assert_eq!(Service::of_name(service.name()), Some(service));
            let as_json = mandate_sdk::serde_json::to_value(service).unwrap();
            assert_eq!(as_json, service.name());
        }
        assert_eq!(Service::of_name("card-network"), None);
    }

    #[test]
    fn the_graph_has_no_circle_and_reaches_everything() {
        let edges = edges();
        let pairs: BTreeSet<_> = edges.iter().collect();
        assert_eq!(pairs.len(), edges.len(), "each pair once");
        fn walk(service: Service, above: &mut Vec<Service>, seen: &mut BTreeSet<Service>) {
            assert!(!above.contains(&service), "a circle at {}", service.name());
            seen.insert(service);
            above.push(service);
            for call in service.spec().calls {
                walk(call.to, above, seen);
            }
            above.pop();
        }
        let mut seen = BTreeSet::new();
        for entry in [Web, Notifications] {
            walk(entry, &mut Vec::new(), &mut seen);
        }
        assert_eq!(seen.len(), Service::ALL.len());
    }

    #[test]
    fn what_stands_behind_a_cache_is_asked_after_a_miss_only() {
        for service in Service::ALL {
            let mut cache = false;
            for call in service.spec().calls {
                assert!(!call.after_miss || cache, "{}", service.name());
                cache = call.to.spec().role == Role::Cache;
                assert!((0.0..=1.0).contains(&call.share) && call.timeout > 0.0);
            }
        }
    }
}
