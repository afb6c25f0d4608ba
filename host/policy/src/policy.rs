//! A policy that is ready to judge: what an operator wrote, checked and compiled.

mod probe;

use crate::autonomy::{self, HIGHEST, Standing};
use crate::budget::{self, Period, Spender};
use crate::cost::{UnknownCost, roi};
use crate::document::{Document, PolicyError};
use crate::facts::Facts;
use crate::freeze::{self, Frozen};
use crate::overrides::{self, Terms};
use crate::rules::{Answer, Rules};
use crate::tariff;
use crate::verdict::{Outcome, Verdict};
use mandate_types::{Ceiling, Digest, MicroUsd, Timestamp};
use serde_json::{Value, json};

/// The rule of a verdict when the rules could not be asked.
const POLICY_ERROR: &str = "policy-error";

/// A compiled policy: pure, and cheap to share.
#[derive(Debug)]
pub struct Policy {
    document: Document,
    digest: Digest,
    freezes: Vec<Frozen>,
    rules: Rules,
}

impl Policy {
    /// Checks and compiles a document, and tries its rules on facts of every kind.
    ///
    /// # Errors
    /// [`PolicyError`] with the place of what is wrong.
    pub fn compile(document: Document) -> Result<Self, PolicyError> {
        document.check()?;
        let rules = Rules::compile(document.rules.as_ref().map(|rules| rules.rego.as_str()))?;
        let written = serde_json::to_vec(&document)
            .map_err(|error| PolicyError::Syntax(error.to_string()))?;
        let policy = Self {
            digest: Digest::of(&written),
            freezes: document.freezes.iter().map(Frozen::new).collect(),
            document,
            rules,
        };
        if policy.rules.are_own() {
            policy.probe()?;
        }
        Ok(policy)
    }

    /// Reads, checks and compiles what an operator wrote, as TOML or JSON.
    ///
    /// # Errors
    /// [`PolicyError`] with the place of what is wrong.
    pub fn read(text: &str) -> Result<Self, PolicyError> {
        Self::compile(Document::read(text)?)
    }

    /// What was compiled.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The digest of what was compiled.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The verdict on a decision. Rules that fail, do not end, or answer in a wrong form ask a
    /// human, as `policy-error`; nothing is ever approved by mistake.
    pub fn judge(&self, facts: &Facts) -> Verdict {
        let terms = overrides::terms(&self.document.thresholds, &self.document.overrides, facts);
        let cost = self.cost(facts);
        let standing = match &cost {
            Ok(cost) => autonomy::standing(facts, *cost, &terms.thresholds),
            Err(_) => Standing {
                level: HIGHEST,
                total: MicroUsd(i64::MAX),
                of: None,
            },
        };
        let level = standing.level;
        let stands = sentence_of(&cost, &standing);
        let answer = self
            .rules
            .ask(self.input(facts, &terms, &cost, &standing, &stands))
            .unwrap_or_else(|why| Answer {
                outcome: Outcome::Escalate,
                rule: POLICY_ERROR.to_owned(),
                reason: format!("the policy could not judge it, so a human is asked: {why}"),
            });
        let answer = match facts.autonomy_cap {
            Some(cap) if answer.outcome == Outcome::Approve && level > cap => Answer {
                outcome: Outcome::Escalate,
                rule: "autonomy-cap".to_owned(),
                reason: format!(
                    "{stands}; the grant lets nothing above level {cap} pass without a human"
                ),
            },
            _ => answer,
        };
        let mut ceilings = match answer.outcome {
            Outcome::Approve if cost != Ok(MicroUsd::ZERO) => {
                autonomy::ceilings(facts, level, &terms.thresholds)
            }
            Outcome::Approve => Vec::new(),
            Outcome::Escalate | Outcome::Deny => Vec::new(),
        };
        ceilings.extend(self.budgets(&facts.into(), facts.now));
        let cost = cost.ok();
        Verdict {
            outcome: answer.outcome,
            rule: answer.rule,
            reason: answer.reason,
            level,
            cost,
            ceilings,
            approvals: self.document.approvals.terms(&facts.tenant, cost),
        }
    }

    /// The ceilings that the budgets set for who spends, on effects or on model calls.
    pub fn budgets(&self, spender: &Spender, now: Timestamp) -> Vec<Ceiling> {
        budget::ceilings(&self.document.budgets, spender, now)
    }

    /// Its budgets as they stand at `now`.
    pub fn periods(&self, now: Timestamp) -> impl Iterator<Item = Period<'_>> {
        budget::periods(&self.document.budgets, now)
    }

    /// The verdict on a model call of this cost for which a budget has no room, of which `spent` is
    /// gone. Models have no effects: that is all that is asked of a human.
    pub fn no_room(
        &self,
        facts: &Facts,
        cost: MicroUsd,
        ceiling: &Ceiling,
        spent: MicroUsd,
    ) -> Verdict {
        let terms = overrides::terms(&self.document.thresholds, &self.document.overrides, facts);
        let verdict = Verdict {
            outcome: Outcome::Escalate,
            rule: String::new(),
            reason: String::new(),
            level: terms.thresholds.level(cost),
            cost: Some(cost),
            ceilings: Vec::new(),
            approvals: self.document.approvals.terms(&facts.tenant, Some(cost)),
        };
        verdict.over(ceiling, spent)
    }

    /// The largest of what is said of the cost, the tariffs of this policy included.
    fn cost(&self, facts: &Facts) -> Result<MicroUsd, UnknownCost> {
        let tariffs = tariff::of(&self.document.tariffs, facts);
        let cost = facts.cost.with_tariff(tariffs.cost);
        let judged = cost.judged(tariffs.trust_estimates);
        match tariffs.failed {
            Some(why) => Err(UnknownCost::Tariff(why)),
            None => judged,
        }
    }

    /// What the rules see. The arguments can be large; the shipped rules do not look at them.
    fn input(
        &self,
        facts: &Facts,
        terms: &Terms<'_>,
        cost: &Result<MicroUsd, UnknownCost>,
        standing: &Standing,
        stands: &str,
    ) -> Value {
        let frozen = freeze::holding(&self.freezes, facts);
        let known = cost.as_ref().ok();
        let mut input = json!({
            "level": standing.level,
            "cost": known,
            "total": known.map(|_| standing.total),
            "standing": stands,
            "tenant": facts.tenant,
            "plugin": facts.requester,
            "chain": facts.chain,
            "principal": facts.principal,
            "tool": facts.tool,
            "target": facts.target,
            "effects": facts.effects,
            "idempotent": facts.idempotent,
            "reversible": facts.is_reversible(),
            "confidence": facts.sure(),
            "risk": facts.risk,
            "gain": facts.gain,
            "roi": roi(facts.gain, known.copied()),
            "dry_run": facts.dry_run,
            "windows": facts.windows,
            "terms": {
                "level1": terms.thresholds.level1.0,
                "level2": terms.thresholds.level2.0,
                "min_confidence": terms.min_confidence,
                "max_risk": terms.max_risk,
            },
            "override": terms.outcome.map(|(outcome, name)| json!({
                "name": name,
                "outcome": outcome,
            })),
            "freeze": frozen.map(|freeze| json!({
                "name": freeze.name,
                "outcome": freeze.outcome,
                "when": freeze.when,
            })),
            "now": facts.now,
        });
        if let (true, Some(input)) = (self.rules.are_own(), input.as_object_mut()) {
            input.insert("arguments".to_owned(), facts.arguments.clone());
        }
        input
    }
}

/// How much is at stake, in words.
fn sentence_of(cost: &Result<MicroUsd, UnknownCost>, standing: &Standing) -> String {
    match (cost, standing.of) {
        (Err(why), _) => format!("{why}: level {}", standing.level),
        (Ok(cost), None) => format!("{cost} is of level {}", standing.level),
        (Ok(cost), Some(of)) => format!(
            "{cost} makes {} in 24 hours for the {of}: level {}",
            standing.total, standing.level
        ),
    }
}

#[cfg(test)]
pub(crate) mod tests;
