//! The alert rules: when something is so wrong that somebody has to be told, and when that is over.

use super::environment::{Alert, Environment, Rule};
use super::services::Service;
use incident_contract::{Time, micros};

/// Bad ticks until an alert fires, and good ones until it ends.
const BAD_TICKS: u32 = 2;
const GOOD_TICKS: u32 = 3;
/// More than this share of requests is too much: slow ones (so the 95th percentile is over the objective), failed
/// ones (availability under 99 %), failed ones of an outage.
const SLOW: f64 = 0.05;
const FAILED: f64 = 0.01;
const OUTAGE: f64 = 0.5;
/// And at least so many requests: a share of very few is chance.
const LEAST_SLOW: u32 = 8;
const LEAST_FAILED: u32 = 6;
/// A firing alert is told again after so long, and one that ended is remembered so long, in microseconds.
const AGAIN: u64 = 60_000_000;

/// What a rule says about a service.
struct Judgement {
    share: f64,
    bad: bool,
}

fn rules(service: Service) -> &'static [Rule] {
    match (service, service.spec().objective) {
        (Service::Web, _) => &[Rule::Latency, Rule::Availability, Rule::Outage],
        (_, Some(_)) => &[Rule::Latency, Rule::Availability],
        (_, None) => &[],
    }
}

fn judge(rule: Rule, (requests, slow, failed): (u32, u32, u32)) -> Judgement {
    let (count, least, most) = match rule {
        Rule::Latency => (slow, LEAST_SLOW, SLOW),
        Rule::Availability => (failed, LEAST_FAILED, FAILED),
        Rule::Outage => (failed, LEAST_FAILED, OUTAGE),
    };
    let share = f64::from(count) / f64::from(requests.max(1));
    Judgement {
        share: (share * 1e4).round() / 1e4,
        bad: count >= least && share > most,
    }
}

/// Looks at what was seen in this tick, (requests, slow, failed), together with the two before it.
pub fn evaluate(
    environment: &mut Environment,
    now: Time,
    seen: impl Fn(Service) -> (u32, u32, u32),
) {
    for service in Service::ALL {
        let this = seen(service);
        let Some(running) = environment.service_mut(service) else {
            continue;
        };
        let [before, last] = running.recent;
        running.recent = [last, this];
        let sum = |part: fn((u32, u32, u32)) -> u32| {
            let all = part(before).saturating_add(part(last));
            all.saturating_add(part(this))
        };
        let all = (sum(|all| all.0), sum(|all| all.1), sum(|all| all.2));
        for rule in rules(service) {
            note(environment, service, *rule, now, &judge(*rule, all));
        }
    }
    environment.alerts.retain(|alert| {
        let ended = alert.resolved_at.is_some_and(|at| old(at, now));
        alert.firing || alert.bad > 0 || (alert.resolved_at.is_some() && !ended)
    });
}

fn old(at: Time, now: Time) -> bool {
    micros(now).saturating_sub(micros(at)) >= AGAIN
}

fn note(environment: &mut Environment, service: Service, rule: Rule, now: Time, saw: &Judgement) {
    let open = environment.alerts.iter_mut().find(|alert| {
        alert.service == service && alert.rule == rule && alert.resolved_at.is_none()
    });
    match open {
        None if !saw.bad => {}
        None => environment.alerts.push(Alert {
            service,
            rule,
            since: now,
            share: saw.share,
            bad: 1,
            good: 0,
            firing: false,
            resolved_at: None,
            told_at: None,
        }),
        Some(alert) if saw.bad => {
            alert.bad = alert.bad.saturating_add(1);
            alert.good = 0;
            alert.share = saw.share;
            if !alert.firing && alert.bad >= BAD_TICKS {
                alert.firing = true;
                alert.told_at = None;
            }
        }
        Some(alert) if alert.firing => {
            alert.bad = 0;
            alert.good = alert.good.saturating_add(1);
            if alert.good >= GOOD_TICKS {
                alert.firing = false;
                alert.resolved_at = Some(now);
                alert.told_at = None;
            }
        }
        // It was one bad tick.
        Some(alert) => alert.bad = 0,
    }
}

/// Alerts that somebody has to be told of now: those that changed, and those that fire for long.
pub fn to_tell(environment: &Environment, now: Time) -> Vec<Alert> {
    let due = |alert: &&Alert| {
        let said = alert.firing || alert.resolved_at.is_some();
        let again = alert.firing && alert.told_at.is_some_and(|at| old(at, now));
        said && (alert.told_at.is_none() || again)
    };
    environment.alerts.iter().filter(due).cloned().collect()
}

/// Remembers when alerts were told, or that they could not be (`None`).
pub fn told(environment: &mut Environment, alerts: &[Alert], at: Option<Time>) {
    for alert in &mut environment.alerts {
        let meant = |other: &&Alert| {
            (other.service, other.rule, other.since, other.firing)
                == (alert.service, alert.rule, alert.since, alert.firing)
        };
        if alerts.iter().any(|other| meant(&other)) {
            alert.told_at = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use incident_contract::time;

    const SECOND: u64 = 1_000_000;

    /// Ticks with these numbers for checkout; the others see nothing.
    fn run(environment: &mut Environment, from: u64, ticks: &[(u32, u32, u32)]) {
        for (tick, numbers) in ticks.iter().enumerate() {
            let now = time((from + tick as u64 * 5) * SECOND);
            evaluate(environment, now, |service| match service {
                Service::Checkout => *numbers,
                _ => (0, 0, 0),
            });
        }
    }

    #[test]
    fn two_bad_ticks_fire_and_three_good_ones_end_it() {
        let mut environment = Environment::new(1, time(0));
        run(&mut environment, 0, &[(50, 0, 0), (50, 20, 0)]);
        assert!(!environment.alerts[0].firing);
        run(&mut environment, 10, &[(50, 20, 0)]);
        assert!(environment.alerts[0].firing);
        assert_eq!(environment.alerts[0].since, time(5 * SECOND));
        assert_eq!(to_tell(&environment, time(10 * SECOND)).len(), 1);
        // The window holds bad ticks for two more; then three good ones.
        run(&mut environment, 15, &[(50, 0, 0); 4]);
        assert!(environment.alerts[0].firing);
        run(&mut environment, 35, &[(50, 0, 0)]);
        assert_eq!(environment.alerts[0].resolved_at, Some(time(35 * SECOND)));
        run(&mut environment, 100, &[(50, 0, 0)]);
        assert!(environment.alerts.is_empty());
    }

    #[test]
    fn one_bad_tick_and_few_requests_are_chance() {
        let mut environment = Environment::new(1, time(0));
        run(&mut environment, 0, &[(10, 7, 5), (10, 0, 0), (10, 0, 0)]);
        assert!(environment.alerts.is_empty());
        run(&mut environment, 50, &[(4_000, 150, 39), (4_000, 150, 39)]);
        assert!(environment.alerts.is_empty(), "below both shares");
    }

    #[test]
    fn what_was_not_told_is_told_again() {
        let mut environment = Environment::new(1, time(0));
        run(&mut environment, 0, &[(50, 0, 20), (50, 0, 20)]);
        let alerts = to_tell(&environment, time(5 * SECOND));
        assert_eq!(alerts[0].rule, Rule::Availability);
        told(&mut environment, &alerts, Some(time(5 * SECOND)));
        assert!(to_tell(&environment, time(10 * SECOND)).is_empty());
        assert_eq!(to_tell(&environment, time(66 * SECOND)).len(), 1);
        told(&mut environment, &alerts, None);
        assert_eq!(to_tell(&environment, time(10 * SECOND)).len(), 1);
    }

    #[test]
    fn an_outage_is_of_the_entry_only() {
        let mut environment = Environment::new(1, time(0));
        for tick in 0..2 {
            evaluate(&mut environment, time(tick * 5 * SECOND), |_| (50, 0, 40));
        }
        let outages = environment
            .alerts
            .iter()
            .filter(|alert| alert.rule == Rule::Outage);
        assert_eq!(
            outages.map(|alert| alert.service).collect::<Vec<_>>(),
            [Service::Web]
        );
        assert!(
            environment
                .alerts
                .iter()
                .all(|alert| alert.service != Service::OrdersDb)
        );
    }
}
