//! What can be done to a service, and which faults that puts right.

use super::faults::Form::{self, *};
use super::services::Service;
use super::spec::Role;
use incident_contract::FaultKind;
use mandate_sdk::schemars::JsonSchema;
use mandate_sdk::serde::{Deserialize, Serialize};

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
    use super::super::faults::{KINDS, possible};
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
}
