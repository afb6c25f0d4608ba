//! From the cause to the end: one step after the other, each verified; or nothing at all, where it ended by itself.

use super::{End, Flow, Known, are, services};
use crate::desk::{self, Stop};
use crate::{alerts, crew, lead, tell};
use incident_asking::incident::now;
use incident_asking::text::sentence;
use incident_contract::incident::{Cause, Incident, Remediation, Severity, Step, Triage, Verdict};
use mandate_sdk::prelude::*;

/// Steps that are tried before a human is called, whatever the runbooks still offer.
const MOST_ROUNDS: u32 = 6;

impl Flow<'_> {
    /// One step after the other, until one helped, none is left, or the time is over. What did not help
    /// says something about the cause: it is searched for again before the next step.
    pub(super) fn remedy(
        &self,
        record: &Record<Incident>,
        triage: &Triage,
        mut cause: Cause,
        known: &mut Known,
    ) -> Result<(End, String), Stop> {
        for round in 1..=MOST_ROUNDS {
            self.progress(0.5 + 0.05 * f64::from(round), "remediation");
            let remediation = match self.act()? {
                Ok(remediation) => remediation,
                Err(why) => return self.escalate(triage, &why),
            };
            self.keep(&remediation)?;
            let Some(acted_at) = remediation.acted_at else {
                let reason = format!("{} {}", cause.summary, remediation.summary);
                return self.give_up(triage, &reason);
            };
            let step = tell::last_tried(&remediation)
                .map(described)
                .unwrap_or_default();
            known.steps.push(step.clone());

            self.progress(0.6 + 0.05 * f64::from(round), "verifying");
            let services = services(record, Some(&cause));
            let verification = self.verify(record, services.clone(), acted_at)?;
            match verification.verdict {
                Verdict::Resolved => {
                    let resolution = format!("{step} {} healthy since.", are(&services));
                    return self.resolved(&resolution);
                }
                Verdict::Inconclusive => {
                    let why = verification.checks.first().cloned().unwrap_or_default();
                    let reason = format!("{step} Whether that helped cannot be told: {why}");
                    return self.give_up(triage, &reason);
                }
                Verdict::NotResolved => {}
            }
            if self.host.now() >= self.deadline() {
                return self.give_up(triage, &format!("{step} It did not help in time."));
            }
            self.search_again(&mut cause, known)?;
            if let Some(ended) = self.became_critical(triage, known)? {
                return Ok(ended);
            }
        }
        self.give_up(
            triage,
            &format!("{} steps did not help.", known.steps.len()),
        )
    }

    /// Has one step done, if policy or a human lets it: nobody else leads meanwhile, and the time that this takes does
    /// not count.
    fn act(&self) -> Result<Result<Remediation, String>, Stop> {
        let before = self.host.now();
        self.keep_lead(self.settings.most_wait_seconds)?;
        let remediation = crew::remediation(self.host, &self.id, true);
        self.keep_lead(self.settings.most_seconds)?;
        let waited = self.host.now().saturating_sub(before);
        self.waited.set(self.waited.get().saturating_add(waited));
        Ok(remediation)
    }

    fn keep_lead(&self, seconds: u64) -> Result<(), Stop> {
        if let Some(lead) = self.lead.borrow_mut().as_mut() {
            lead::keep(self.host, lead, seconds)?;
        }
        Ok(())
    }

    /// Searches once more, with what was measured since. An answer that finds nothing, or the same, changes nothing.
    fn search_again(&self, cause: &mut Cause, known: &mut Known) -> Result<(), Stop> {
        self.host
            .working_on(format!("{}: searching again", self.id));
        let again = crew::cause(self.host, &self.id);
        let says = |cause: &Cause| {
            let first = cause.ranking.first().map(|first| first.component.clone());
            (first, cause.kind)
        };
        if again.found && says(&again) != says(cause) {
            self.keep_cause(&again)?;
            known.learn(&again);
            *cause = again;
        }
        Ok(())
    }

    /// Worse alerts may have come in meanwhile: then a human is called, once.
    pub(super) fn became_critical(
        &self,
        triage: &Triage,
        known: &mut Known,
    ) -> Result<Option<(End, String)>, Stop> {
        let record = desk::read(self.host, &self.id)?;
        if record.body.severity != Some(Severity::Critical) {
            return Ok(None);
        }
        known.severity = record.body.severity;
        let reason = "It became critical: a human decides what is done.";
        self.escalate(triage, reason).map(Some)
    }

    /// When all its alerts resolved before anything was done: then only health has to be looked at.
    pub(super) fn ended_by_itself(
        &self,
        record: &Record<Incident>,
        triage: &Triage,
        cause: &Cause,
    ) -> Result<Option<(End, String)>, Stop> {
        if !alerts::are_over(self.host, &self.id, &record.body) {
            return Ok(None);
        }
        self.progress(0.5, "its alerts resolved; verifying");
        let services = services(record, Some(cause));
        let verification = self.verify(record, services.clone(), now(self.host))?;
        match verification.verdict {
            Verdict::Resolved => {
                let resolution = format!("It resolved by itself: {} healthy.", are(&services));
                self.resolved(&resolution).map(Some)
            }
            Verdict::Inconclusive => {
                let reason = "Its alerts resolved by themselves, but there is too little data to say that it is over.";
                self.give_up(triage, reason).map(Some)
            }
            Verdict::NotResolved => Ok(None),
        }
    }
}

fn described(step: &Step) -> String {
    let outcome = step.outcome.as_deref().unwrap_or("Done.");
    format!("{}: {}", step.tool, sentence(outcome, 200))
}
