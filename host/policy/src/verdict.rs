//! What policy says of a decision: the outcome, the rule that gave it, and what must still hold
//! when the money is reserved.

use crate::facts::Facts;
use mandate_types::{Ceiling, MicroUsd, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What happens to a decision; ordered from loose to tight.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It may be had.
    Approve,
    /// A human is asked.
    Escalate,
    /// It may not be had.
    Deny,
}

impl Outcome {
    /// As stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Escalate => "escalate",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What happens.
    pub outcome: Outcome,
    /// The rule that gave it.
    pub rule: String,
    /// Why, in one sentence for people.
    pub reason: String,
    /// The autonomy level, 1–3.
    pub level: u8,
    /// What it costs; none when nobody can say.
    pub cost: Option<MicroUsd>,
    /// What must hold when the money is reserved, so that this verdict still does: those of
    /// autonomy where it approves, and those of the budgets always.
    pub ceilings: Vec<Ceiling>,
    /// How a human is asked, if one is.
    pub approvals: ApprovalTerms,
}

/// How a human is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApprovalTerms {
    /// Without an answer it is denied after so long.
    pub expires_after: Duration,
    /// Whether who asked may never answer, not even when nobody else can.
    pub four_eyes: bool,
    /// Who is told, one after the other until somebody answers: names of notification channels.
    pub channels: Vec<String>,
    /// After how long without an answer it is said again, and then the next is told.
    pub repeat_after: Duration,
}

impl Verdict {
    /// The verdict when the ledger has no room under `ceiling`, of which `spent` is committed or
    /// reserved already: a human is asked, and whoever approves lifts that ceiling for this
    /// decision. For a ceiling of autonomy, judge anew instead, with the windows as they are now.
    #[must_use]
    pub fn over(self, ceiling: &Ceiling, spent: MicroUsd) -> Self {
        let resets = match ceiling.resets_at {
            Some(at) => format!(", until {at}"),
            None => String::new(),
        };
        Self {
            outcome: self.outcome.max(Outcome::Escalate),
            rule: ceiling.name.clone(),
            reason: format!(
                "{} allows {} over {}, of which {spent} are spent or reserved{resets}",
                ceiling.name, ceiling.most, ceiling.scope
            ),
            ceilings: self
                .ceilings
                .into_iter()
                .filter(|other| other.name != ceiling.name && !is_autonomy(other))
                .collect(),
            ..self
        }
    }
}

/// Whether a ceiling keeps a level, rather than a budget.
pub fn is_autonomy(ceiling: &Ceiling) -> bool {
    ceiling.name.starts_with(AUTONOMY)
}

/// Whether a ceiling is one of the policy's budgets.
pub fn is_budget(ceiling: &Ceiling) -> bool {
    ceiling.name.starts_with(BUDGET)
}

/// How the names of ceilings begin that keep a budget.
pub(crate) const BUDGET: &str = "budget:";

/// How the names of ceilings begin that keep a level.
pub(crate) const AUTONOMY: &str = "autonomy:";

/// What a decision opens with: what, on what, at what cost, how to undo it, and what happens if
/// nobody answers, if somebody is asked until `expires_at`.
pub fn sentence(
    facts: &Facts,
    verdict: &Verdict,
    undo: Option<&str>,
    expires_at: Option<Timestamp>,
) -> String {
    let who = match &facts.requester {
        Some(plugin) => format!("`{plugin}`"),
        None => format!("`{}`", facts.principal),
    };
    let on = match &facts.target {
        Some(target) => format!(" on `{}`", short(target)),
        None => String::new(),
    };
    let cost = match (verdict.cost, facts.cost.largest_said()) {
        (Some(cost), _) => format!("for {cost}"),
        (None, Some(said)) => format!("at a cost that nobody confirms ({said} is said)"),
        (None, None) => "at a cost that nobody can say".to_owned(),
    };
    let undo = match undo {
        Some(undo) if facts.is_reversible() => format!("to undo it: {}", short(undo)),
        None if facts.is_reversible() => "it can be undone".to_owned(),
        _ => "it cannot be undone".to_owned(),
    };
    let end = match (verdict.outcome, expires_at) {
        (Outcome::Approve, _) => "policy allows it".to_owned(),
        (Outcome::Deny, _) => "policy forbids it".to_owned(),
        (Outcome::Escalate, Some(at)) => {
            format!("if nobody answers by {}, it is denied", minute(at))
        }
        (Outcome::Escalate, None) => "if nobody answers, it does not happen".to_owned(),
    };
    format!(
        "{who} wants to call `{}`{on} {cost}; {undo}; {end}.",
        facts.tool
    )
}

/// As people read a time: `2026-11-21 12:30 UTC`.
fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    match text.get(..16) {
        Some(minute) => format!("{} UTC", minute.replace('T', " ")),
        None => text,
    }
}

/// What a guest says, on one line, in the order in which it is written, and of a length that
/// people read.
fn short(text: &str) -> String {
    let is_hidden = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let mut line: String = text
        .chars()
        .map(|c| {
            if c.is_control() || is_hidden(c) {
                ' '
            } else {
                c
            }
        })
        .take(201)
        .collect();
    if line.chars().count() > 200 {
        line.pop();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::facts;
    use crate::{Document, Policy};

    fn verdict(facts: &Facts) -> Verdict {
        Policy::compile(Document::default()).unwrap().judge(facts)
    }

    #[test]
    fn a_decision_opens_with_one_sentence() {
        let mut facts = facts(2_500);
        facts.target = Some("db-1".to_owned());
        facts.confidence = None;
        let at = Timestamp::parse("2026-11-21T12:30:00Z");
        let said = sentence(&facts, &verdict(&facts), Some("fail back"), at);
        assert_eq!(
            said,
            "`remediation` wants to call `actions.scale` on `db-1` for $2,500.00; to undo it: \
             fail back; if nobody answers by 2026-11-21 12:30 UTC, it is denied."
        );
        facts.requester = None;
        facts.reversible = false;
        facts.cost = crate::Cost::default();
        let said = sentence(&facts, &verdict(&facts), Some("fail back"), at);
        assert!(said.starts_with("`robot` wants"), "{said}");
        assert!(
            said.contains("nobody can say") && said.contains("cannot be undone"),
            "{said}"
        );
        facts.cost.estimate = crate::Estimate::Known(MicroUsd::dollars(120));
        let said = sentence(&facts, &verdict(&facts), None, at);
        assert!(said.contains("nobody confirms ($120.00 is said)"), "{said}");
    }

    #[test]
    fn a_guest_cannot_write_into_the_sentence_what_is_not_there() {
        let mut facts = facts(1);
        facts.target = Some(format!("a\n\u{202e}b{}", "x".repeat(500)));
        let said = sentence(&facts, &verdict(&facts), None, None);
        assert!(!said.contains('\n') && !said.contains('\u{202e}'), "{said}");
        assert!(said.len() < 400 && said.contains('…'), "{said}");
    }

    #[test]
    fn what_is_over_a_budget_asks_a_human_and_lifts_only_that() {
        let document = r#"
            [[budget]]
            name = "day"
            scope = "tenant"
            window = "day"
            limit = 100
            [[budget]]
            name = "all"
            scope = "host"
            window = "24h"
            limit = 1000
        "#;
        let policy = Policy::compile(Document::read(document).unwrap()).unwrap();
        let approved = policy.judge(&facts(60));
        assert_eq!(approved.outcome, Outcome::Approve);
        assert!(approved.ceilings.iter().any(is_autonomy));
        let ceiling = approved.ceilings.iter().find(|c| c.name == "budget:day");
        let over = approved
            .clone()
            .over(ceiling.unwrap(), MicroUsd::dollars(50));
        assert_eq!(over.outcome, Outcome::Escalate);
        assert_eq!(over.rule, "budget:day");
        assert!(
            over.reason.contains("$50.00") && over.reason.contains("until"),
            "{}",
            over.reason
        );
        let left: Vec<&str> = over.ceilings.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(left, ["budget:all"]);
    }
}
