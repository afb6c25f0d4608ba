//! The search, turn by turn, and how it ends.

use super::scene::*;

#[test]
fn every_turn_is_reported_and_the_search_ends_when_all_was_looked_at() {
    let cause = Scene::usual().run();
    assert!(cause.found);
    assert_eq!(
        (first(&cause), cause.kind, cause.author.as_str()),
        ("db", Some(FaultKind::Latency), "rules")
    );
    assert_eq!(
        actions(&cause)[..5],
        [
            "monitoring.rank",
            "monitoring.logs",
            "monitoring.metrics",
            "monitoring.traces",
            "conclude"
        ]
    );
    assert!(
        cause
            .steps
            .iter()
            .all(|step| !step.reason.is_empty() && !step.observation.is_empty())
    );
    assert!(
        cause.steps[3].observation.contains("`db` 90 %"),
        "{cause:?}"
    );
    assert!(
        cause.summary.contains("`db` is slow") && cause.summary.contains("web → db"),
        "{}",
        cause.summary
    );
    // What the ranking said is not lost.
    assert_eq!(cause.ranking.len(), 3);
    assert_eq!(cause.ranking[0].evidence[0].what, "latency p99");
}

#[test]
fn the_search_stops_when_the_evidence_suffices() {
    let scene = Scene::ranked(true, &[("db", 0.8), ("cart", 0.1)]);
    scene.log(
        "db",
        vec![log(
            "2026-03-01T11:59:50Z",
            "info",
            "deployed",
            json!({"event": "deployment", "version": "2.4.1"}),
        )],
    );
    let cause = scene.run();
    assert_eq!(
        actions(&cause)[..4],
        [
            "monitoring.rank",
            "monitoring.logs",
            "monitoring.metrics",
            "conclude"
        ]
    );
    assert_eq!(cause.kind, Some(FaultKind::BadDeployment));
    assert!(
        cause.summary.contains("2.4.1") && cause.summary.contains("last deployment"),
        "{}",
        cause.summary
    );
}

#[test]
fn not_found_is_an_answer() {
    let scene = Scene::ranked(false, &[("db", 0.1)]);
    let cause = scene.run();
    assert!(!cause.found && cause.kind.is_none());
    assert_eq!(actions(&cause)[..2], ["monitoring.rank", "monitoring.rank"]);
    assert!(
        cause.summary.contains("not found") && cause.summary.contains("Nobody deviates"),
        "{}",
        cause.summary
    );
    let nothing = Scene::ranked(false, &[]).run();
    assert!(!nothing.found && nothing.ranking.is_empty());
}

#[test]
fn a_wider_time_is_tried_before_giving_up() {
    let scene = Scene::new();
    scene
        .rankings
        .borrow_mut()
        .extend([Ok(ranking(false, &[])), Ok(ranking(true, &[("db", 0.7)]))]);
    let cause = scene.run();
    assert!(cause.found);
    assert_eq!(first(&cause), "db");
    let asked = scene.fake.calls_of("invoke")[1].arguments.clone();
    assert!(asked.contains("2026-03-01T11:53:00Z"), "{asked}");
}

#[test]
fn a_wider_time_that_is_less_sure_changes_nothing() {
    let scene = Scene::new();
    let (narrow, wide) = (
        ranking(false, &[("cart", 0.5)]),
        ranking(true, &[("db", 0.4)]),
    );
    scene.rankings.borrow_mut().extend([Ok(narrow), Ok(wide)]);
    let cause = scene.run();
    assert_eq!((cause.found, first(&cause)), (false, "cart"));
}

#[test]
fn what_began_a_moment_ago_is_ranked_again_later() {
    let scene = Scene::new();
    scene.fake.set_time(1_772_366_410_000_000); // ten seconds later
    let (not_yet, then) = (ranking(false, &[]), ranking(true, &[("db", 0.7)]));
    scene.rankings.borrow_mut().extend([Ok(not_yet), Ok(then)]);
    let cause = scene.run();
    assert!(cause.found && cause.steps[1].reason.contains("a moment ago"));
    assert_eq!(scene.fake.calls_of("sleep").len(), 1);
    let never = Scene::ranked(false, &[]);
    never.fake.set_time(1_772_366_410_000_000);
    assert!(!never.run().found);
    assert_eq!(never.fake.calls_of("sleep").len(), 2);
}

#[test]
fn a_tool_that_fails_is_said_and_nothing_is_guessed() {
    let denied = || Error::Denied {
        capability: "invoke".into(),
        reason: "monitoring.rank is not granted".into(),
    };
    let scene = Scene::new();
    scene.rankings.borrow_mut().push(Err(denied()));
    let cause = scene.run();
    assert!(!cause.found && cause.ranking.is_empty());
    assert!(
        cause.summary.contains("is not granted"),
        "{}",
        cause.summary
    );

    let once = Scene::new();
    let away = Error::Unavailable {
        reason: "restarting".into(),
        retry_after: None,
    };
    once.rankings
        .borrow_mut()
        .extend([Err(away), Ok(ranking(true, &[("db", 0.7)]))]);
    assert!(once.run().found);

    let blind = Scene::usual();
    for tool in [
        "monitoring.logs",
        "monitoring.metrics",
        "monitoring.traces",
        "monitoring.topology",
    ] {
        blind.fake.tool(tool, move |_| Err(denied()));
    }
    let cause = blind.run();
    assert_eq!((cause.found, first(&cause)), (true, "db"));
    assert!(
        cause
            .steps
            .iter()
            .filter(|step| step.observation.contains("could be looked at"))
            .count()
            >= 3,
        "{cause:#?}"
    );
}

#[test]
fn the_budget_ends_the_search() {
    let cause = Scene::usual().with(json!({"most_turns": 1}));
    assert_eq!(actions(&cause)[..2], ["monitoring.rank", "conclude"]);
    assert!(cause.found && cause.steps[1].reason.contains("turns are used up"));
    let scene = Scene::usual();
    let fake = scene.fake.clone();
    scene.fake.tool("monitoring.logs", move |_| {
        fake.host()
            .sleep(std::time::Duration::from_secs(20))
            .unwrap();
        Ok(json!({"lines": []}))
    });
    let cause = scene.with(json!({"most_seconds": 10}));
    assert_eq!(
        actions(&cause)[..3],
        ["monitoring.rank", "monitoring.logs", "conclude"]
    );
    assert!(cause.steps[2].reason.contains("10 seconds"));
}

#[test]
fn incidents_without_a_component_are_answered() {
    let scene = Scene::usual();
    scene
        .fake
        .put("incidents", Some("INC-2"), &json!({"title": "Something"}));
    let task = Task::new(Input { incident: None }).about("incidents", "INC-2");
    let report = scene.fake.run::<RootCause>(task).unwrap();
    assert!(!report.output.found && report.summary.contains("names no component"));
    assert!(FakeHost::new().run_json::<RootCause>(&json!({})).is_err());
}
