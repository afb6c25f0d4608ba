//! How humans are asked: for how long, who, and after what time the next.

use super::spell::Span;
use crate::verdict::ApprovalTerms;
use mandate_types::{MicroUsd, TenantId, money::dollars};
use serde::{Deserialize, Serialize};

/// `[approvals]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Approvals {
    /// After so long without an answer a decision is denied.
    pub expires_after: Span,
    /// Whether nobody may approve what they asked for themselves, even when there is nobody else.
    pub four_eyes: bool,
    /// After so long without an answer it is said again, and then the next is told.
    pub repeat_after: Span,
    /// Who is told.
    #[serde(rename = "route", skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
}

impl Default for Approvals {
    fn default() -> Self {
        Self {
            expires_after: Span::minutes(30),
            four_eyes: false,
            repeat_after: Span::minutes(10),
            routes: Vec::new(),
        }
    }
}

/// `[[approvals.route]]`: who is told of what. That of the tenant wins over one for all; then that
/// with the highest amount which the cost reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Of this tenant; of all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// From this cost on; dollars. What nobody knows the cost of is above everything.
    #[serde(default, with = "dollars")]
    pub from: MicroUsd,
    /// Names of notification channels, one after the other.
    pub channels: Vec<String>,
}

impl Approvals {
    /// The terms for a decision of `tenant` that costs `cost`.
    pub fn terms(&self, tenant: &TenantId, cost: Option<MicroUsd>) -> ApprovalTerms {
        let reaches = |route: &&Route| cost.is_none_or(|cost| cost >= route.from);
        let is_theirs = |route: &&Route| route.tenant.as_ref().is_none_or(|of| of == tenant);
        let route = self
            .routes
            .iter()
            .filter(|route| is_theirs(route) && reaches(route))
            .max_by_key(|route| (route.tenant.is_some(), route.from));
        ApprovalTerms {
            expires_after: self.expires_after.duration(),
            four_eyes: self.four_eyes,
            channels: route
                .map(|route| route.channels.clone())
                .unwrap_or_default(),
            repeat_after: self.repeat_after.duration(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenants_own_route_wins_and_then_the_highest_amount() {
        let route = |tenant: Option<&str>, from, channel: &str| Route {
            tenant: tenant.map(|tenant| TenantId::parse(tenant).unwrap()),
            from: MicroUsd::dollars(from),
            channels: vec![channel.to_owned()],
        };
        let mut approvals = Approvals {
            routes: vec![
                route(None, 0, "ops"),
                route(None, 10_000, "boss"),
                route(Some("acme"), 0, "acme-ops"),
                route(Some("acme"), 5_000, "acme-boss"),
            ],
            ..Approvals::default()
        };
        let (acme, other) = (TenantId::parse("acme").unwrap(), TenantId::default());
        let usd = |dollars| Some(MicroUsd::dollars(dollars));
        for _ in 0..2 {
            assert_eq!(approvals.terms(&other, usd(9_999)).channels, ["ops"]);
            assert_eq!(approvals.terms(&other, usd(10_000)).channels, ["boss"]);
            assert_eq!(approvals.terms(&acme, usd(1)).channels, ["acme-ops"]);
            assert_eq!(approvals.terms(&acme, None).channels, ["acme-boss"]);
            approvals.routes.reverse();
        }
        assert!(Approvals::default().terms(&acme, None).channels.is_empty());
    }
}
