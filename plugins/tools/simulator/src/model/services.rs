//! Which services there are.

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
