//! The environment when all is well: a shop on the web, service by service. The numbers are chosen so that it is
//! busy by day, never full, and that what is wrong somewhere is felt where people come in.

use super::services::Service::{self, *};
use super::spec::{Call, External, Role, Spec};

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
