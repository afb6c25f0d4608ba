//! Whether work is halted. Nothing overrides it: it is asked before grants, budgets and rules.

use mandate_types::{Halt, HaltScope, PluginName, TenantId};
use std::collections::BTreeMap;

/// All halts of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Halts(BTreeMap<HaltScope, Halt>);

impl Halts {
    /// Whether nothing is halted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them: the host's first, then tenants, then plugins.
    pub fn iter(&self) -> impl Iterator<Item = &Halt> {
        self.0.values()
    }

    /// The halt of exactly this scope.
    pub fn get(&self, scope: &HaltScope) -> Option<&Halt> {
        self.0.get(scope)
    }

    /// The halt of the whole host.
    pub fn host(&self) -> Option<&Halt> {
        self.get(&HaltScope::Host)
    }

    /// The halt that covers everything done for `tenant`.
    pub fn tenant(&self, tenant: &TenantId) -> Option<&Halt> {
        self.host().or_else(|| {
            let of_tenant =
                |halt: &&Halt| matches!(&halt.scope, HaltScope::Tenant(t) if t == tenant);
            self.iter().find(of_tenant)
        })
    }

    /// The halt that covers work for `tenant` in which these plugins take part; the widest if
    /// there are several.
    pub fn covering<'a>(
        &self,
        tenant: &TenantId,
        plugins: impl IntoIterator<Item = &'a PluginName>,
    ) -> Option<&Halt> {
        if self.is_empty() {
            return None;
        }
        self.tenant(tenant).or_else(|| {
            plugins
                .into_iter()
                .find_map(|plugin| self.plugin(plugin.as_str()))
        })
    }

    /// The halt of the plugin of this name.
    pub fn plugin(&self, name: &str) -> Option<&Halt> {
        self.iter().find(
            |halt| matches!(&halt.scope, HaltScope::Plugin(plugin) if plugin.as_str() == name),
        )
    }

    /// Adds a halt, in place of one of the same scope.
    pub fn put(&mut self, halt: Halt) {
        self.0.insert(halt.scope.clone(), halt);
    }

    /// Removes the halt of a scope; whether there was one.
    pub fn remove(&mut self, scope: &HaltScope) -> bool {
        self.0.remove(scope).is_some()
    }
}

impl FromIterator<Halt> for Halts {
    fn from_iter<I: IntoIterator<Item = Halt>>(halts: I) -> Self {
        Self(
            halts
                .into_iter()
                .map(|halt| (halt.scope.clone(), halt))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_types::{PrincipalName, Timestamp};

    fn halt(scope: &str) -> Halt {
        Halt {
            scope: scope.parse().unwrap(),
            reason: "why".to_owned(),
            by: PrincipalName::parse("ann").unwrap(),
            at: Timestamp::from_micros(1),
        }
    }

    fn covering(halts: &[&str], tenant: &str, plugins: &[&str]) -> Option<String> {
        let halts: Halts = halts.iter().map(|scope| halt(scope)).collect();
        let plugins: Vec<_> = plugins
            .iter()
            .map(|name| PluginName::parse(name).unwrap())
            .collect();
        let tenant = TenantId::parse(tenant).unwrap();
        halts
            .covering(&tenant, &plugins)
            .map(|halt| halt.scope.to_string())
    }

    #[test]
    fn a_halt_covers_its_scope_and_no_more() {
        let found = |scope: &str| Some(scope.to_owned());
        assert_eq!(covering(&[], "acme", &["a"]), None);
        assert_eq!(covering(&["host"], "acme", &[]), found("host"));
        assert_eq!(
            covering(&["tenant/acme"], "acme", &[]),
            found("tenant/acme")
        );
        assert_eq!(covering(&["tenant/acme"], "beta", &["acme"]), None);
        assert_eq!(
            covering(&["plugin/b"], "acme", &["a", "b"]),
            found("plugin/b")
        );
        assert_eq!(covering(&["plugin/b"], "b", &["a"]), None);
    }

    #[test]
    fn the_widest_halt_is_named() {
        let all = ["plugin/a", "tenant/acme", "host"];
        assert_eq!(covering(&all, "acme", &["a"]).as_deref(), Some("host"));
        let two = covering(&all[..2], "acme", &["a"]);
        assert_eq!(two.as_deref(), Some("tenant/acme"));
    }
}
