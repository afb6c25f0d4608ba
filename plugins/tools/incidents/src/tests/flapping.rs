//! Alerts that come and go.

use super::*;
use crate::Settle;
use crate::alert::AlertStatus;

/// On and off, so many changes, a minute apart; the time of the last one.
fn flap(fake: &FakeHost, changes: i64) -> i64 {
    let mut started = 0;
    send(fake, 0, &[alert("A", "cart", "high", 0)]);
    for change in 1..=changes {
        let now = change * 60;
        if change % 2 == 1 {
            send(fake, now, &[over(alert("A", "cart", "high", started), now)]);
        } else {
            started = now;
            send(fake, now, &[alert("A", "cart", "high", started)]);
        }
    }
    changes * 60
}

fn settle(fake: &FakeHost, seconds: i64) -> Value {
    fake.set_time(micros(at(seconds)));
    fake.call_json::<Settle>(&json!({})).unwrap()
}

#[test]
fn two_changes_are_none_that_matter() {
    let fake = fake();
    flap(&fake, 2);
    let kept = &alerts(&fake)[0];
    assert!(!kept.flapping && kept.status == AlertStatus::Firing && kept.flaps == 2);
    assert_eq!(
        fake.events().len(),
        1,
        "the first time that it was over was told"
    );
}

#[test]
fn the_third_within_ten_minutes_holds_it_open_until_it_is_quiet() {
    let fake = fake();
    let last = flap(&fake, 3);
    let kept = alerts(&fake).remove(0);
    assert!(
        kept.flapping && kept.status == AlertStatus::Firing,
        "{kept:?}"
    );
    assert_eq!(fake.events().len(), 1, "only the first end was told");
    assert_eq!(settle(&fake, last + 299)["settled"], 0);
    assert!(alerts(&fake)[0].flapping);
    assert_eq!(settle(&fake, last + 300)["settled"], 1);
    let kept = &alerts(&fake)[0];
    assert!(!kept.flapping && kept.status == AlertStatus::Resolved);
    assert_eq!(fake.events().len(), 2);
    assert_eq!(settle(&fake, last + 900)["settled"], 0);
}

#[test]
fn it_is_the_own_time_of_the_alert_that_counts() {
    let fake = fake();
    // The same changes, which all arrive in one second: they were spread over an hour.
    let mut first = alert("A", "cart", "high", -3_600);
    send(&fake, 0, &[first.clone()]);
    first = over(first, -2_400);
    let second = alert("A", "cart", "high", -1_800);
    send(&fake, 1, &[first, second.clone(), over(second, -900)]);
    let kept = &alerts(&fake)[0];
    assert_eq!(
        (kept.flaps, kept.flapping, kept.status),
        (3, false, AlertStatus::Resolved)
    );
}

#[test]
fn each_change_makes_it_wait_anew_and_any_payload_lets_go() {
    let fake = fake();
    let last = flap(&fake, 4);
    assert!(alerts(&fake)[0].flapping);
    send(
        &fake,
        last + 200,
        &[over(alert("A", "cart", "high", last), last + 200)],
    );
    assert_eq!(settle(&fake, last + 400)["settled"], 0);
    send(
        &fake,
        last + 500,
        &[alert("Other", "search", "low", last + 500)],
    );
    let kept = &alerts(&fake)[0];
    assert!(!kept.flapping && kept.status == AlertStatus::Resolved);
}

#[test]
fn one_that_ends_quiet_and_firing_goes_on_as_usual() {
    let fake = fake();
    let last = flap(&fake, 4);
    assert_eq!(settle(&fake, last + 301)["settled"], 1);
    let kept = &alerts(&fake)[0];
    assert!(!kept.flapping && kept.status == AlertStatus::Firing);
    assert_eq!(incidents(&fake).len(), 1, "one incident through all of it");
    let taken = send(
        &fake,
        last + 400,
        &[over(alert("A", "cart", "high", last), last + 400)],
    );
    assert_eq!(outcomes(&taken), ["resolved"]);
}

#[test]
fn flapping_for_hours_keeps_the_record_small() {
    let fake = fake();
    flap(&fake, 100);
    let kept = &alerts(&fake)[0];
    assert_eq!((kept.flaps, kept.changes.len()), (100, 16));
}
