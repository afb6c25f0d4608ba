//! Who has to look at it, by the names of the components that show it.

use crate::facts::Facts;
use mandate_sdk::prelude::*;

/// Who it is when nothing says more.
const ANYBODY: &str = "on-call";

/// Parts of names, and who knows about such things. The first that fits counts, so the special stands before the
/// general: a `cache` in a database's name is still the database's.
const KNOWN: [(&str, &[&str]); 5] = [
    (
        "database",
        &[
            "database",
            "-db",
            "_db",
            "postgres",
            "mysql",
            "mariadb",
            "aurora",
            "rds",
            "dynamodb",
            "mongo",
            "redis",
            "memcache",
            "cache",
            "cassandra",
            "sql",
            "storage",
            "s3",
        ],
    ),
    (
        "messaging",
        &[
            "queue", "kafka", "rabbit", "sqs", "sns", "kinesis", "nats", "pubsub", "broker",
        ],
    ),
    (
        "network",
        &[
            "elb",
            "load-balancer",
            "loadbalancer",
            "ingress",
            "dns",
            "vpc",
            "nat-",
            "proxy",
            "cdn",
            "gateway",
        ],
    ),
    (
        "platform",
        &["kubernetes", "k8s", "node-", "host-", "cluster", "runtime"],
    ),
    (
        "security",
        &["auth", "identity", "oauth", "sso", "secrets", "vault"],
    ),
];

/// What an operator says about who looks at what.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Rule {
    /// A part of a component's name.
    pub contains: String,
    /// Who.
    pub to: String,
}

/// Who, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Who.
    pub to: String,
    /// Why, for people.
    pub reason: String,
}

/// Who has to look at it: the operator's rules first, then what names usually mean, the symptom's component first.
pub fn route(rules: &[Rule], facts: &Facts) -> Route {
    for component in &facts.affected {
        let name = component.to_lowercase();
        if let Some(rule) = rules
            .iter()
            .find(|rule| name.contains(&rule.contains.to_lowercase()))
        {
            return Route {
                to: rule.to.clone(),
                reason: format!(
                    "`{component}` is a matter of {}, as the operator says.",
                    rule.to
                ),
            };
        }
        for (to, parts) in KNOWN {
            if let Some(part) = parts.iter().find(|part| name.contains(**part)) {
                return Route {
                    to: to.to_owned(),
                    reason: format!("`{component}` sounds like a matter of {to} (`{part}`)."),
                };
            }
        }
    }
    Route {
        to: ANYBODY.to_owned(),
        reason: format!("No special knowledge seems needed: {ANYBODY}."),
    }
}
