//! Measuring the resources of components: what is usual as two numbers, and the points around the symptom. Whole
//! histories would fill the journal.

use crate::action::{NOWHERE, noted};
use crate::look;
use crate::notebook::Notebook;
use crate::resource::{self, Movement, Resource, Usual};
use chrono::TimeDelta;
use incident_asking::monitoring::{METRICS, Metrics, MetricsArguments, Point};
use incident_contract::{Time, Window};
use mandate_sdk::invoke::Answer;
use mandate_sdk::prelude::*;
use std::collections::BTreeMap;

/// How much of the time before the window tells what is usual for a resource.
const USUAL: TimeDelta = TimeDelta::minutes(60);
/// Calls for one resource of one component.
const CALLS: usize = 3;

/// Measures the resources of some components and notes how they moved.
pub fn resources(host: &Host, notebook: &mut Notebook, components: &[String]) -> String {
    let Some(window) = notebook.window() else {
        return NOWHERE.to_owned();
    };
    let seen = notebook.seen();
    let asked: Vec<(&String, Resource)> = components
        .iter()
        .flat_map(|component| Resource::ALL.map(|resource| (component, resource)))
        .collect();
    let arguments: Vec<MetricsArguments> = asked
        .iter()
        .flat_map(|(component, resource)| questions(component, *resource, &window, seen))
        .collect();
    let answers = look::together(host, METRICS, &arguments);
    let mut failure = None;
    for ((component, resource), answers) in asked.iter().zip(answers.chunks(CALLS)) {
        let footprint = notebook.footprints.entry((*component).clone()).or_default();
        footprint.saw_resources = true;
        match moved(*resource, answers, seen) {
            Ok(Some(movement)) => {
                footprint.resources.insert(*resource, movement);
            }
            Ok(None) => {}
            Err(error) => failure = Some(error.to_string()),
        }
    }
    let told = components
        .iter()
        .map(|component| told(component, &notebook.footprint(component).resources))
        .collect();
    noted(told, failure, "resources")
}

/// The median and the upper tenth without faults, and the points from shortly before the symptom on.
fn questions(
    component: &str,
    resource: Resource,
    window: &Window,
    seen: Time,
) -> [MetricsArguments; CALLS] {
    let usual = Window {
        start: window.start - USUAL,
        end: window.start,
    };
    // A third of what lies before the symptom: a minute or an interval.
    let shortly = (seen - window.start).max(TimeDelta::zero()) / 3;
    let around = Window {
        start: (seen - shortly).clamp(window.start, window.end - TimeDelta::seconds(1)),
        end: window.end,
    };
    let ask = |window: Window, aggregation| MetricsArguments {
        metric: resource.metric(),
        service: component.to_owned(),
        labels: BTreeMap::new(),
        window,
        aggregation,
        step_seconds: u64::try_from((window.end - window.start).num_seconds())
            .unwrap_or(1)
            .max(1),
    };
    [ask(usual, "p50"), ask(usual, "p90"), ask(around, "raw")]
}

fn moved(
    resource: Resource,
    answers: &[Result<Answer, Error>],
    seen: Time,
) -> Result<Option<Movement>, Error> {
    let mut points = Vec::new();
    for answer in answers {
        let answer = answer.clone()?;
        points.push(answer.typed::<Metrics>()?.points());
    }
    let [median, p90, around] = points.as_slice() else {
        return Err(Error::Interrupted(
            "some questions were not answered".to_owned(),
        ));
    };
    let usual = centre(median).zip(centre(p90));
    Ok(usual.and_then(|(median, p90)| {
        resource::movement(resource, Usual { median, p90 }, around, seen)
    }))
}

/// The only value; the mean when the store split the range.
fn centre(points: &[Point]) -> Option<f64> {
    let sum: f64 = points.iter().map(|point| point.value).sum();
    (!points.is_empty()).then(|| sum / points.len() as f64)
}

fn told(component: &str, resources: &BTreeMap<Resource, Movement>) -> String {
    let outside: Vec<String> = resources
        .iter()
        .filter(|(_, movement)| movement.outside)
        .map(|(resource, movement)| {
            let (now, usual) = (movement.now, movement.usual);
            format!("{} {now:.2} instead of {usual:.2}", resource.metric())
        })
        .collect();
    match (resources.is_empty(), outside.is_empty()) {
        (true, _) => format!("`{component}`: no data of its resources"),
        (false, true) => format!("`{component}`: its resources are as usual"),
        (false, false) => format!("`{component}`: {}", outside.join(", ")),
    }
}
