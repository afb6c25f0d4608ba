//! What people read about a suspect: measured values, and a sentence for each.

use super::circumstance::Circumstance;
use super::deviation::{Change, Deviation, MOST_SCORE};
use incident_contract::ranking::Evidence;
use incident_contract::{Signal, time};

/// A score from which on a value is far from its usual.
pub const FAR: f64 = 3.0;
/// A share of the symptom from which on it is worth a sentence.
const LEAST_SHARE: f64 = 0.1;

/// The suspect and what is known about it.
pub struct Suspicion<'s> {
    /// Its name.
    pub name: &'s str,
    /// The symptom's component.
    pub symptom: &'s str,
    /// What the symptom is.
    pub signal: Signal,
    /// What changed at it.
    pub deviation: &'s Deviation,
    /// What changed at the symptom's component.
    pub at_symptom: &'s Deviation,
    /// What else speaks.
    pub circumstance: Option<&'s Circumstance>,
    /// The component that suffers from this one's requests, if that is why it is suspected.
    pub victim: Option<&'s str>,
}

/// The evidence, the strongest first. Never empty: that nothing was measured is said, too.
pub fn of(about: &Suspicion<'_>) -> Vec<Evidence> {
    let mut all = Vec::new();
    all.extend(share(about));
    let deviation = about.deviation;
    let mut signals = Vec::new();
    let name = about.name;
    signals.extend(far(
        Some(Signal::Latency),
        "latency",
        &deviation.latency,
        |usual, now| format!("`{name}` answers in {now} instead of {usual}."),
    ));
    signals.extend(far(
        Some(Signal::Availability),
        "failing requests in percent",
        &deviation.failing,
        |usual, now| format!("{now} % of the requests of `{name}` fail instead of {usual} %."),
    ));
    signals.extend(far(
        Some(Signal::Latency),
        "latency p99",
        &deviation.tail,
        |usual, now| format!("The slowest answers of `{name}` take {now} instead of {usual}."),
    ));
    let score = |evidence: &Evidence| evidence.deviation.unwrap_or(0.0);
    signals.sort_by(|a, b| score(b).total_cmp(&score(a)));
    signals.sort_by_key(|evidence| evidence.signal != Some(about.signal));
    all.extend(traffic(about));
    all.extend(signals);
    if let Some(circumstance) = about.circumstance {
        all.extend(circumstances(name, circumstance));
    }
    if all.is_empty() {
        all.push(nothing_special(about));
    }
    all
}

/// How much of the symptom it accounts for.
fn share(about: &Suspicion<'_>) -> Option<Evidence> {
    let of = |deviation: &Deviation| match about.signal {
        Signal::Latency => deviation.extra_time * deviation.latency.belief(),
        Signal::Availability => deviation.failures * deviation.failing.belief(),
    };
    let (own, all) = (of(about.deviation), of(about.at_symptom));
    let share = if all > 0.0 { (own / all).min(1.0) } else { 0.0 };
    if about.name == about.symptom || share < LEAST_SHARE {
        return None;
    }
    let (what, noun) = match about.signal {
        Signal::Latency => ("share of the extra time", "extra time"),
        Signal::Availability => ("share of the extra failures", "extra failures"),
    };
    Some(Evidence {
        signal: Some(about.signal),
        what: what.to_owned(),
        usual: None,
        observed: Some(share),
        deviation: None,
        text: format!(
            "The {noun} of all requests of `{}` amounts to {:.0} % of that of `{}`.",
            about.name,
            share * 100.0,
            about.symptom
        ),
    })
}

fn traffic(about: &Suspicion<'_>) -> Vec<Evidence> {
    let (name, deviation) = (about.name, about.deviation);
    let evidence = |text: String| Evidence {
        signal: None,
        what: "requests".to_owned(),
        usual: Some(deviation.usual_traffic),
        observed: Some(deviation.traffic),
        deviation: None,
        text,
    };
    let usual = number(deviation.usual_traffic);
    let now = number(deviation.traffic);
    let mut all = Vec::new();
    if deviation.growth.is_some() {
        let why = about.victim.map_or(String::new(), |victim| {
            format!(" `{victim}` suffers from that.")
        });
        all.push(evidence(format!(
            "`{name}` gets {now} requests in an interval instead of {usual}.{why}"
        )));
    }
    if deviation.lost > 0.0 {
        all.push(evidence(format!(
            "Only {now} requests in an interval reach `{name}` instead of {usual}."
        )));
    }
    if deviation.new {
        all.push(evidence(format!(
            "`{name}` was not called before, and gets {now} requests in an interval now."
        )));
    }
    all
}

fn circumstances(name: &str, circumstance: &Circumstance) -> Vec<Evidence> {
    let mut all = Vec::new();
    if let Some(change) = &circumstance.changed {
        all.push(Evidence {
            signal: None,
            what: change.kind.clone(),
            usual: None,
            observed: None,
            deviation: None,
            text: format!(
                "`{name}` was changed at {}, shortly before: {}",
                time(change.at).to_rfc3339(),
                change.message
            ),
        });
    }
    for (resource, change) in &circumstance.busy {
        all.extend(far(None, resource, change, |usual, now| {
            format!("`{name}`: {resource} is {now} instead of {usual}.")
        }));
    }
    if let Some((now, before)) = circumstance.errors {
        all.push(Evidence {
            signal: None,
            what: "log lines of severity error".to_owned(),
            usual: Some(before),
            observed: Some(now),
            deviation: None,
            text: format!(
                "`{name}` logs {} errors in a minute instead of {}.",
                number(now),
                number(before)
            ),
        });
    }
    all
}

/// A value that is far above its usual.
fn far(
    signal: Option<Signal>,
    what: &str,
    change: &Change,
    text: impl Fn(&str, &str) -> String,
) -> Option<Evidence> {
    let (usual, observed) = (change.usual?, change.observed?);
    (change.score >= FAR && change.rise > 0.0).then(|| Evidence {
        signal,
        what: what.to_owned(),
        usual: Some(usual),
        observed: Some(observed),
        deviation: Some(change.score.min(MOST_SCORE)),
        text: text(&number(usual), &number(observed)),
    })
}

/// What there is to say about a suspect that only is on the way.
fn nothing_special(about: &Suspicion<'_>) -> Evidence {
    let change = match about.signal {
        Signal::Latency => &about.deviation.latency,
        Signal::Availability => &about.deviation.failing,
    };
    let what = match about.signal {
        Signal::Latency => "latency",
        Signal::Availability => "failing requests in percent",
    };
    let text = match change.observed {
        Some(_) => format!(
            "`{}` is on the way of the symptom; by itself it is hardly unusual.",
            about.name
        ),
        None => format!(
            "`{}` is on the way of the symptom; nothing is known about its {what}.",
            about.name
        ),
    };
    Evidence {
        signal: Some(about.signal),
        what: what.to_owned(),
        usual: change.usual,
        observed: change.observed,
        deviation: change.observed.map(|_| change.score),
        text,
    }
}

/// Three digits; people do not read more.
pub fn number(value: f64) -> String {
    let digits = if value == 0.0 || !value.is_finite() {
        0
    } else {
        let before = value.abs().log10().floor() as i32;
        usize::try_from(2 - before).unwrap_or(0).min(9)
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.012345, "0.0123"),
            (1.5, "1.50"),
            (843.2, "843"),
            (99_999.0, "99999"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn there_is_always_a_word() {
        let deviation = Deviation::default();
        let evidence = of(&Suspicion {
            name: "a",
            symptom: "b",
            signal: Signal::Latency,
            deviation: &deviation,
            at_symptom: &deviation,
            circumstance: None,
            victim: None,
        });
        assert!(evidence[0].text.contains("nothing is known"));
    }
}
