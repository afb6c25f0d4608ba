//! Giving alerts their incidents: decided through the guard, then written.

use crate::alert::{Alert, AlertSeverity};
use crate::groups::{Group, Key, YOUNG, choose};
use crate::guard;
use crate::incident::{extend, opened};
use crate::intake::{Taken, Work};
use crate::open::{self, Caring};
use crate::readable::{Readable, Sketch, whole};
use crate::topology::Topology;
use incident_contract::Time;
use incident_contract::incident::{COLLECTION, Incident};
use mandate_sdk::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// How often a decision is made again when somebody else was quicker.
const ATTEMPTS: u32 = 20;
/// Incidents that one payload may open: more is no news that anybody can act on.
const MOST_OPENED: usize = 100;
/// Young incidents on one page of the search for them.
const PAGE: u32 = 50;
/// Alerts of the same name that are looked at for one without a service.
const NAMESAKES: u32 = 20;

/// The incidents that have to be written, with the places of their alerts.
pub type Plan = Vec<(String, Vec<usize>)>;

/// Chooses an incident for each alert that needs one.
///
/// # Errors
/// What the host says.
pub fn assign(host: &Host, work: &mut [Work], now: Time, taken: &mut Taken) -> Result<Plan, Error> {
    let mut plan = Plan::new();
    let mut homeless = Vec::new();
    let mut caring = Caring::default();
    for (place, one) in work.iter().enumerate() {
        if !one.alert.needs_incident() {
            continue;
        }
        match &one.alert.incident {
            Some(incident) if caring.cares(host, incident, one.repeated, now)? => {
                // It may have got worse.
                let incident = incident.clone();
                add(&mut plan, incident, place);
            }
            _ => homeless.push(place),
        }
    }
    if homeless.is_empty() {
        return Ok(plan);
    }
    let topology = host.telemetry().topology().map(Topology::new);
    let topology = topology.unwrap_or_else(|error| {
        taken.note(format!(
            "The topology cannot be read, so alerts are grouped by service only: {error}."
        ));
        Topology::default()
    });
    let mut attempt = 1;
    let chosen = loop {
        match decide(host, work, &homeless, &topology, now) {
            Err(Error::Conflict(_)) if attempt < ATTEMPTS => attempt += 1,
            decided => break decided?,
        }
    };
    for (place, incident) in chosen.incidents {
        if let Some(one) = work.get_mut(place) {
            one.chosen = Some(incident.clone());
        }
        add(&mut plan, incident, place);
    }
    if chosen.without > 0 {
        taken.note(format!(
            "{} alerts are kept without an incident: one payload opens at most {MOST_OPENED}. They get theirs when \
             they are sent again.",
            chosen.without
        ));
    }
    Ok(plan)
}

fn add(plan: &mut Plan, incident: String, place: usize) {
    match plan.iter_mut().find(|(known, _)| *known == incident) {
        Some((_, places)) => places.push(place),
        None => plan.push((incident, vec![place])),
    }
}

struct Chosen {
    incidents: Vec<(usize, String)>,
    without: usize,
}

/// One try: reads, decides, and writes the guard in the version that was read.
fn decide(
    host: &Host,
    work: &[Work],
    homeless: &[usize],
    topology: &Topology,
    now: Time,
) -> Result<Chosen, Error> {
    let guards = host.records(guard::COLLECTION);
    let mut guard = guard::read(host)?;
    guard.body.trim(now);
    let mut groups = groups(host, &guard.body, work, homeless, now)?;
    let there = groups.clone();
    let mut chosen = Chosen {
        incidents: Vec::new(),
        without: 0,
    };
    let mut begun = 0;
    for place in homeless {
        let Some(one) = work.get(*place) else {
            continue;
        };
        let key = key(&one.alert);
        let group = match choose(&groups, &key, topology, now) {
            Some(group) => group,
            None if begun == MOST_OPENED => {
                chosen.without += 1;
                continue;
            }
            None => {
                begun += 1;
                groups.push(Group {
                    incident: fresh_id(host),
                    services: Vec::new(),
                    name: None,
                    opened_at: now,
                });
                groups.len() - 1
            }
        };
        let Some(group) = groups.get_mut(group) else {
            continue;
        };
        match key {
            Key::Service(service) => group.affects(&[service]),
            Key::Name(name) => group.name = Some(name),
        }
        chosen.incidents.push((*place, group.incident.clone()));
    }
    let changed = groups.iter().filter(|group| !there.contains(group));
    let mut claimed = false;
    for group in changed {
        guard.body.claim(group, now);
        claimed = true;
    }
    if claimed {
        guards.update(&guard)?;
    }
    Ok(chosen)
}

fn key(alert: &Alert) -> Key {
    match &alert.service {
        Some(service) => Key::Service(service.clone()),
        None => Key::Name(format!("{}/{}", alert.source, alert.name)),
    }
}

/// After the pattern of the collection.
fn fresh_id(host: &Host) -> String {
    format!("INC-{:08}", host.random_u64() % 100_000_000)
}

/// The groups that there are: young incidents, open ones of the services in question, and what was claimed.
fn groups(
    host: &Host,
    guard: &guard::Guard,
    work: &[Work],
    homeless: &[usize],
    now: Time,
) -> Result<Vec<Group>, Error> {
    let mut groups: Vec<Group> = Vec::new();
    let mut know = |record: Record<Sketch>, name: Option<String>| {
        let group = match groups
            .iter_mut()
            .position(|group| group.incident == record.id)
        {
            Some(position) => groups.get_mut(position),
            None => {
                groups.push(Group {
                    incident: record.id,
                    services: Vec::new(),
                    name: None,
                    opened_at: incident_contract::time(record.created_at),
                });
                groups.last_mut()
            }
        };
        if let Some(group) = group {
            group.affects(&record.body.affected_services);
            group.name = name.or(group.name.take());
        }
    };
    let young = |record: &Record<Sketch>| now - incident_contract::time(record.created_at) < YOUNG;
    for record in open::find(host, PAGE, &|find| find)? {
        if young(&record) {
            know(record, None);
        }
    }
    let mut services = BTreeSet::new();
    let mut names = BTreeMap::new();
    for alert in homeless.iter().filter_map(|place| work.get(*place)) {
        match key(&alert.alert) {
            Key::Service(service) => {
                services.insert(service);
            }
            Key::Name(name) => {
                names.insert(name, &alert.alert);
            }
        }
    }
    for service in services {
        let of_service = open::find(host, 1, &|find| {
            find.filter("affected_services", Comparison::Contains, &service)
        })?;
        for record in of_service {
            if open::takes_new(&record.body, now) {
                know(record, None);
            }
        }
    }
    for (name, alert) in names {
        if let Some(record) = of_namesakes(host, alert, now)? {
            know(record, Some(name));
        }
    }
    for claim in &guard.claims {
        let known = groups
            .iter_mut()
            .find(|group| group.incident == claim.incident);
        if let Some(group) = known {
            group.affects(&claim.services);
            group.name = claim.name.clone().or(group.name.take());
            continue;
        }
        // Not written yet, or not open any more.
        match host.records::<Sketch>(COLLECTION).get(&claim.incident) {
            Ok(record) if !open::takes_new(&record.body, now) => {}
            Ok(_) | Err(Error::NotFound(_)) => groups.push(Group {
                incident: claim.incident.clone(),
                services: claim.services.clone(),
                name: claim.name.clone(),
                opened_at: claim.opened_at,
            }),
            Err(error) => return Err(error),
        }
    }
    Ok(groups)
}

/// The open incident of other alerts of that name, of the same source, that are about no known service either.
fn of_namesakes(host: &Host, alert: &Alert, now: Time) -> Result<Option<Record<Sketch>>, Error> {
    let namesakes = host
        .records::<Readable<Alert>>(crate::alert::COLLECTION)
        .find()
        .equal("name", &alert.name)
        .equal("source", &alert.source)
        .limit(NAMESAKES)
        .page()?;
    let mut seen = BTreeSet::new();
    for alert in namesakes.records.into_iter().filter_map(whole) {
        let Some(incident) = alert.body.incident.filter(|_| alert.body.service.is_none()) else {
            continue;
        };
        if !seen.insert(incident.clone()) {
            continue;
        }
        match host.records::<Sketch>(COLLECTION).get(&incident) {
            Ok(record) if open::takes_new(&record.body, now) => return Ok(Some(record)),
            Ok(_) | Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Writes the incidents of a plan, as many as can be.
///
/// # Errors
/// When one could not be written that may be written later. What can never be written is told in the answer.
pub fn carry_out(host: &Host, plan: Plan, work: &[Work], taken: &mut Taken) -> Result<(), Error> {
    let mut again = Ok(());
    for (id, places) in plan {
        let alerts: Vec<(&str, &Alert)> = places
            .iter()
            .filter_map(|place| work.get(*place))
            .map(|one| (one.id.as_str(), &one.alert))
            .collect();
        match open_or_extend(host, &id, &alerts) {
            Ok(true) => taken.opened.push(id),
            Ok(false) => {}
            Err(error) if error.is_retryable() || matches!(error, Error::Denied { .. }) => {
                host.warn(format!("{id} could not be written: {error}"));
                again = Err(error);
            }
            Err(error) => taken.note(format!("The incident {id} could not be written: {error}.")),
        }
    }
    again
}

/// True when the incident was not there.
fn open_or_extend(host: &Host, id: &str, alerts: &[(&str, &Alert)]) -> Result<bool, Error> {
    let incidents = host.records::<Incident>(COLLECTION);
    let mut attempt = 1;
    loop {
        let tried = match incidents.get(id) {
            Ok(mut record) => {
                if !extend(&mut record.body, alerts) {
                    return Ok(false);
                }
                incidents.update(&record).map(|_| false)
            }
            Err(Error::NotFound(_)) => incidents.create_as(id, &opened(alerts)).map(|_| true),
            Err(error) => Err(error),
        };
        match tried {
            Err(Error::Conflict(_) | Error::NotFound(_)) if attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

/// The gravest of some alerts.
pub fn gravest(alerts: &[(&str, &Alert)]) -> AlertSeverity {
    alerts
        .iter()
        .map(|(_, alert)| alert.severity)
        .max()
        .unwrap_or(AlertSeverity::High)
}
