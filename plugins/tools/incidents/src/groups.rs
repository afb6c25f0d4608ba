//! Which incident an alert belongs to. Alerts of one service, and of services that one fault reaches, are one
//! incident; others never are.

use crate::topology::Topology;
use chrono::TimeDelta;
use incident_contract::Time;

/// Connected services join an incident only while it is as young as this: a later alert is another matter.
pub const YOUNG: TimeDelta = TimeDelta::minutes(2);
/// Services that are remembered of a group.
const MOST_SERVICES: usize = 1_000;

/// An incident that is open, or is about to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its id.
    pub incident: String,
    /// What it is known to affect.
    pub services: Vec<String>,
    /// What alerts without a service are grouped by: their source and name.
    pub name: Option<String>,
    /// When it was opened.
    pub opened_at: Time,
}

impl Group {
    /// Adds services that are not there yet.
    pub fn affects(&mut self, services: &[String]) {
        for service in services {
            if self.services.len() < MOST_SERVICES && !self.services.contains(service) {
                self.services.push(service.clone());
            }
        }
    }
}

/// What an alert is grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The service that it is about.
    Service(String),
    /// It is about no known service: its source and name.
    Name(String),
}

/// The group that an alert belongs to; none if it begins one.
pub fn choose(groups: &[Group], key: &Key, topology: &Topology, now: Time) -> Option<usize> {
    let oldest = |indices: &mut dyn Iterator<Item = (u32, usize)>| {
        indices
            .filter_map(|(distance, index)| {
                let group = groups.get(index)?;
                Some((distance, group.opened_at, index))
            })
            .min()
            .map(|(_, _, index)| index)
    };
    let service = match key {
        Key::Name(name) => {
            let mut same = groups
                .iter()
                .enumerate()
                .filter(|(_, group)| group.name.as_ref() == Some(name))
                .map(|(index, _)| (0, index));
            return oldest(&mut same);
        }
        Key::Service(service) => service,
    };
    let mut same = groups
        .iter()
        .enumerate()
        .filter(|(_, group)| group.services.contains(service))
        .map(|(index, _)| (0, index));
    if let Some(index) = oldest(&mut same) {
        return Some(index);
    }
    let mut connected = groups
        .iter()
        .enumerate()
        .filter(|(_, group)| now - group.opened_at < YOUNG)
        .filter_map(|(index, group)| {
            let distances = group
                .services
                .iter()
                .filter_map(|other| topology.distance(service, other));
            Some((distances.min()?, index))
        });
    oldest(&mut connected)
}
