//! The flow: triage, then the cause, then one step after the other, each allowed by policy or a human, and verified.
//! Critical incidents go to a human first and nothing is done to them without one; whatever cannot go on goes to a
//! human too.

mod remedy;

use crate::desk::{self, Stop};
use crate::ending::{escalate, learn, resolve};
use crate::lead::{self, Lead};
use crate::verify::{self, Question};
use crate::{Output, Settings, crew, tell};
use incident_asking::incident::{now, symptom};
use incident_asking::text::line;
use incident_contract::incident::{
    Cause, Incident, Remediation, Severity, Status, Triage, Verdict, Verification,
};
use incident_contract::{FaultKind, Time};
use mandate_sdk::prelude::*;
use std::cell::{Cell, RefCell};

const SECOND: u64 = 1_000_000;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It is over, and that was measured.
    Resolved,
    /// A human was called.
    Escalated,
    /// There was nothing to do.
    Nothing,
}

/// One incident being led.
pub struct Flow<'h> {
    host: &'h Host,
    id: String,
    settings: Settings,
    begin: u64,
    /// For how long others had the word: a human who decides takes the time that he needs.
    waited: Cell<u64>,
    lead: RefCell<Option<Record<Lead>>>,
}

/// What was found out so far, for the report.
#[derive(Default)]
struct Known {
    severity: Option<Severity>,
    cause: Option<String>,
    kind: Option<FaultKind>,
    steps: Vec<String>,
}

impl Known {
    fn learn(&mut self, cause: &Cause) {
        self.kind = cause.kind;
        let first = cause.ranking.first().filter(|_| cause.found);
        self.cause = first.map(|suspect| suspect.component.clone());
    }
}

impl<'h> Flow<'h> {
    /// An incident whose lead was just taken.
    pub fn new(host: &'h Host, id: &str, settings: Settings, begin: u64) -> Self {
        Self {
            host,
            id: id.to_owned(),
            settings,
            begin,
            waited: Cell::new(0),
            lead: RefCell::new(None),
        }
    }

    /// The same as who holds this lead.
    pub fn leading(self, lead: Record<Lead>) -> Self {
        self.lead.replace(Some(lead));
        self
    }

    /// Gives the lead up.
    pub fn leave(&self) {
        if let Some(lead) = self.lead.take() {
            lead::leave(self.host, lead);
        }
    }

    /// Leads it to its end.
    ///
    /// # Errors
    /// When the record cannot be read or written: then nobody could tell how it ended.
    pub fn run(&self) -> Result<Output, Error> {
        let mut known = Known::default();
        let (end, reason) = match self.lead(&mut known) {
            Ok(ended) => ended,
            Err(Stop::Closed(status)) => {
                let status = if status == Status::Resolved {
                    "resolved"
                } else {
                    "closed"
                };
                (End::Nothing, format!("It is {status} already."))
            }
            Err(Stop::Failed(error)) => return Err(error),
        };
        Ok(self.output(end, reason, known))
    }

    fn output(&self, end: End, reason: String, known: Known) -> Output {
        Output {
            incident: self.id.clone(),
            end,
            reason,
            severity: known.severity,
            cause: known.cause,
            kind: known.kind,
            steps: known.steps,
            seconds: self.seconds(),
        }
    }

    /// How long it has taken by now, to a tenth of a second.
    fn seconds(&self) -> f64 {
        let micros = self.host.now().saturating_sub(self.begin);
        (micros as f64 / SECOND as f64 * 10.0).round() / 10.0
    }

    fn lead(&self, known: &mut Known) -> Result<(End, String), Stop> {
        self.progress(0.05, "begun");
        let record = desk::change(self.host, &self.id, |incident| {
            incident.status = Status::Active
        })?;
        let triage = self.triage(&record.body)?;
        known.severity = Some(triage.severity);
        let mut called = None;
        if triage.escalate || triage.severity == Severity::Critical {
            called = Some(self.escalate(&triage, "It is critical: a human decides what is done.")?);
        }
        let cause = self.cause()?;
        known.learn(&cause);
        if called.is_none() {
            called = self.became_critical(&triage, known)?;
        }
        if let Some(ended) = called {
            self.propose()?;
            return Ok(ended);
        }
        let record = desk::read(self.host, &self.id)?;
        if let Some(ended) = self.ended_by_itself(&record, &triage, &cause)? {
            return Ok(ended);
        }
        if !cause.found {
            self.propose()?;
            let reason = format!("The cause was not found. {}", cause.summary);
            return self.escalate(&triage, &reason);
        }
        self.remedy(&record, &triage, cause, known)
    }

    /// Closes an incident that a human was called for, whose alerts are over: if it is healthy.
    ///
    /// # Errors
    /// When somebody else closed it, or the record cannot be written.
    pub fn close(&self, record: &Record<Incident>) -> Result<Output, Stop> {
        let cause = record.body.cause.as_ref();
        let services = services(record, cause);
        if services.is_empty() {
            let reason = "It names no component whose health could be looked at.".to_owned();
            return Ok(Output::nothing(&self.id, reason));
        }
        let verification = self.verify(record, services.clone(), now(self.host))?;
        if verification.verdict != Verdict::Resolved {
            let reason = format!(
                "Its alerts are over, but {}.",
                verify::verdict(verification.verdict)
            );
            return Ok(Output::nothing(&self.id, reason));
        }
        let resolution = format!(
            "Its alerts ended after a human was called, and {} healthy.",
            are(&services)
        );
        let (end, reason) = self.resolved(&resolution)?;
        Ok(self.output(end, reason, Known::default()))
    }

    /// Calls a human for an incident that several tasks could not bring to an end.
    ///
    /// # Errors
    /// When somebody else closed it, or the record cannot be written.
    pub fn hand_over(&self, attempts: u32) -> Result<(), Stop> {
        let record = desk::read(self.host, &self.id)?;
        let route = record.body.triage.map(|triage| triage.route);
        let reason = format!("{attempts} tasks that led it came to no end.");
        escalate(
            self.host,
            &self.id,
            route.as_deref().unwrap_or(crew::ANYBODY),
            &reason,
        )
    }

    fn triage(&self, incident: &Incident) -> Result<Triage, Stop> {
        self.progress(0.1, "triage");
        let triage = crew::triage(self.host, &self.id, incident);
        desk::change(self.host, &self.id, |incident| {
            incident.severity = incident.severity.max(Some(triage.severity));
            incident.triage = Some(triage.clone());
        })?;
        tell::triaged(self.host, &self.id, &triage);
        Ok(triage)
    }

    fn cause(&self) -> Result<Cause, Stop> {
        self.progress(0.25, "searching for the cause");
        let cause = crew::cause(self.host, &self.id);
        self.keep_cause(&cause)?;
        Ok(cause)
    }

    fn keep_cause(&self, cause: &Cause) -> Result<(), Stop> {
        desk::change(self.host, &self.id, |incident| {
            incident.cause = Some(cause.clone());
        })?;
        tell::caused(self.host, &self.id, cause);
        Ok(())
    }

    /// What a human could do, for the record.
    fn propose(&self) -> Result<(), Stop> {
        self.progress(0.6, "proposing what to do");
        match crew::remediation(self.host, &self.id, false) {
            Ok(remediation) => self.keep(&remediation),
            Err(why) => {
                self.host.warn(why);
                Ok(())
            }
        }
    }

    fn keep(&self, remediation: &Remediation) -> Result<(), Stop> {
        desk::change(self.host, &self.id, |incident| {
            incident.remediation = Some(remediation.clone())
        })?;
        tell::remediated(self.host, &self.id, remediation);
        Ok(())
    }

    fn verify(
        &self,
        record: &Record<Incident>,
        services: Vec<String>,
        since: Time,
    ) -> Result<Verification, Stop> {
        let at = symptom(record)
            .and_then(|symptom| symptom.at)
            .unwrap_or(since);
        let question = Question::new(&record.body, services, at, since);
        let verification = verify::verify(self.host, self.settings, &question, self.deadline())?;
        self.store(&verification)?;
        Ok(verification)
    }

    fn store(&self, verification: &Verification) -> Result<(), Stop> {
        desk::change(self.host, &self.id, |incident| {
            incident.verification = Some(verification.clone())
        })?;
        tell::verified(self.host, &self.id, verification);
        Ok(())
    }

    fn resolved(&self, resolution: &str) -> Result<(End, String), Stop> {
        let incident = resolve(self.host, &self.id, resolution)?;
        learn(self.host, &self.id, &incident, true, resolution);
        Ok((End::Resolved, resolution.to_owned()))
    }

    /// Escalates, and lets the knowledge base know that what was done did not help.
    fn give_up(&self, triage: &Triage, reason: &str) -> Result<(End, String), Stop> {
        let ended = self.escalate(triage, reason)?;
        let record = desk::read(self.host, &self.id)?;
        learn(self.host, &self.id, &record.body, false, reason);
        Ok(ended)
    }

    fn escalate(&self, triage: &Triage, reason: &str) -> Result<(End, String), Stop> {
        escalate(self.host, &self.id, &triage.route, reason)?;
        Ok((End::Escalated, line(reason, 500)))
    }

    fn progress(&self, fraction: f64, stage: &str) {
        self.host
            .progress(fraction, format!("{}: {stage}", self.id));
    }

    fn deadline(&self) -> u64 {
        self.begin
            .saturating_add(self.settings.most_seconds.saturating_mul(SECOND))
            .saturating_add(self.waited.get())
    }
}

/// Where it showed, and the cause.
fn services(record: &Record<Incident>, cause: Option<&Cause>) -> Vec<String> {
    let mut services: Vec<String> = symptom(record)
        .map(|symptom| symptom.service)
        .into_iter()
        .collect();
    if let Some(first) = cause
        .filter(|cause| cause.found)
        .and_then(|cause| cause.ranking.first())
        && !services.contains(&first.component)
    {
        services.push(first.component.clone());
    }
    services
}

fn are(services: &[String]) -> String {
    let names = incident_asking::text::names(services.iter().map(String::as_str));
    format!("{names} {}", if services.len() == 1 { "is" } else { "are" })
}
