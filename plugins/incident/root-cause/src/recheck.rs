//! How the components are now to which something was done that did not help: one that is healthy while the symptom
//! goes on is not its cause.

use crate::notebook::{Notebook, RECOVERED};
use chrono::TimeDelta;
use incident_asking::incident::now;
use incident_asking::monitoring::{self, HealthArguments, State};
use incident_asking::text::names;
use incident_contract::Window;
use mandate_sdk::prelude::*;

/// What counts is how it was in the last so many seconds.
const LATELY: TimeDelta = TimeDelta::seconds(30);

/// Looks, and notes who recovered.
pub fn recheck(host: &Host, notebook: &mut Notebook) -> String {
    notebook.rechecked = true;
    let symptom = notebook.symptom.service.clone();
    let mut services: Vec<String> = notebook.in_vain.keys().cloned().collect();
    services.retain(|service| *service != symptom);
    services.push(symptom.clone());
    let now = now(host);
    let arguments = HealthArguments {
        services,
        window: Some(Window {
            start: now - LATELY,
            end: now,
        }),
        baseline: notebook
            .baseline
            .or(notebook.ranking.as_ref().map(|ranking| ranking.baseline)),
    };
    let healths = match monitoring::health(host, &arguments) {
        Ok(healths) => healths,
        Err(error) => return format!("How they are cannot be told: {error}."),
    };
    let are = |state: State| {
        let such = healths.iter().filter(move |health| health.verdict == state);
        such.map(|health| health.service.clone())
            .collect::<Vec<String>>()
    };
    if !are(State::Degraded).contains(&symptom) {
        return format!("The symptom at `{symptom}` cannot be seen now, so that tells nothing.");
    }
    let recovered = are(State::Healthy);
    for service in &recovered {
        notebook.in_vain.insert(service.clone(), RECOVERED);
    }
    if recovered.is_empty() {
        return "None of them is healthy.".to_owned();
    }
    let list = names(recovered.iter().map(String::as_str));
    format!("{list}: healthy, while the symptom at `{symptom}` goes on.")
}
