//! The flow, stage by stage, and each way in which it can end.

use super::scene::*;

#[test]
fn a_step_that_helps_is_verified_and_learnt_from() {
    let scene = Scene::new();
    let output = scene.run();
    assert_eq!(
        (output.end, output.severity),
        (End::Resolved, Some(Severity::High))
    );
    assert_eq!(
        (output.cause.as_deref(), output.kind),
        (Some("db"), Some(FaultKind::Leak))
    );
    assert_eq!(output.steps, ["actions.restart: restarted."]);
    let record = scene.record();
    assert_eq!(record.status, Status::Resolved);
    assert!(
        record
            .resolution
            .unwrap()
            .contains("`web` and `db` are healthy")
    );
    assert!(record.resolved_at.is_some() && record.escalation.is_none());
    assert_eq!(record.verification.unwrap().verdict, Verdict::Resolved);
    assert!(record.triage.is_some() && record.cause.is_some());
    assert_eq!(
        record.remediation.unwrap().steps[0].status,
        StepStatus::Done
    );
    assert_eq!(
        scene.told(),
        ["triaged", "caused", "remediated", "verified", "resolved"]
    );
    assert!(
        scene
            .fake
            .events()
            .iter()
            .all(|event| event.subject.as_deref() == Some("incidents/INC-1"))
    );
    let lesson = &scene.lessons.borrow()[0];
    assert_eq!(
        (&lesson["helped"], &lesson["component"]),
        (&json!(true), &json!("db"))
    );
}

#[test]
fn the_event_that_wakes_it_is_input_enough() {
    let scene = Scene::new();
    let event = json!({"seq": 7, "kind": "record_changed", "subject": "incidents/INC-1", "data": {"action": "created"}});
    let woken = Task::new(from_value::<Input>(event).unwrap()).about("incidents", ID);
    assert_eq!(
        scene.fake.run::<Commander>(woken).unwrap().output.end,
        End::Resolved
    );
    let asked = Scene::new();
    let client = Task::new(Input {
        incident: Some(ID.into()),
    });
    assert_eq!(
        asked.fake.run::<Commander>(client).unwrap().output.end,
        End::Resolved
    );
    assert_eq!(
        asked.fake.events()[0].subject.as_deref(),
        Some("incidents/INC-1")
    );
}

#[test]
fn it_is_looked_more_than_once_before_a_step_counts_as_no_help() {
    let scene = Scene::new();
    scene.health(&["degraded", "no_data"]);
    let output = scene.run();
    assert_eq!((output.end, output.steps.len()), (End::Resolved, 1));
    assert_eq!(scene.called("monitoring.health"), 3);
    assert!(output.seconds >= 45.0);
}

#[test]
fn the_next_step_is_tried_when_one_did_not_help() {
    let scene = Scene::new();
    scene.remedies(&["actions.restart", "actions.scale"], 0);
    scene.health(&["degraded", "degraded", "degraded"]);
    let output = scene.run();
    assert_eq!((output.end, output.steps.len()), (End::Resolved, 2));
    assert_eq!(
        scene.told(),
        [
            "triaged",
            "caused",
            "remediated",
            "verified",
            "remediated",
            "verified",
            "resolved"
        ]
    );
}

#[test]
fn what_did_not_help_is_a_reason_to_search_again() {
    let scene = Scene::new();
    scene.remedies(&["actions.restart", "actions.scale"], 0);
    scene.health(&["degraded", "degraded", "degraded"]);
    let mut searches = 0;
    scene.fake.agent("incident-root-cause", move |_| {
        searches += 1;
        let mut cause = cause(true);
        if searches > 1 {
            cause["ranking"][0]["component"] = json!("queue");
            cause["kind"] = json!("saturation");
        }
        Ok((cause, String::new()))
    });
    let output = scene.run();
    assert_eq!(
        (output.end, output.cause.as_deref()),
        (End::Resolved, Some("queue"))
    );
    assert_eq!(output.kind, Some(FaultKind::Saturation));
    assert!(
        scene
            .record()
            .resolution
            .unwrap()
            .contains("`web` and `queue` are healthy")
    );
    assert_eq!(
        scene.told(),
        [
            "triaged",
            "caused",
            "remediated",
            "verified",
            "caused",
            "remediated",
            "verified",
            "resolved"
        ]
    );

    let lost = Scene::new();
    lost.remedies(&["actions.restart", "actions.scale"], 0);
    lost.health(&["degraded", "degraded", "degraded"]);
    let mut found = true;
    lost.fake.agent("incident-root-cause", move |_| {
        Ok((cause(std::mem::take(&mut found)), String::new()))
    });
    assert_eq!(
        lost.run().cause.as_deref(),
        Some("db"),
        "nothing new is no news"
    );
}

#[test]
fn what_ended_by_itself_is_verified_and_not_acted_upon() {
    let scene = Scene::new();
    scene.alerts(&["resolved", "resolved"]);
    let output = scene.run();
    assert_eq!((output.end, output.steps.len()), (End::Resolved, 0));
    assert!(output.reason.contains("by itself"));
    assert_eq!(scene.called("incident-remediation"), 0);
    let lesson = &scene.lessons.borrow()[0];
    assert_eq!(
        (&lesson["helped"], &lesson["steps"]),
        (&json!(true), &json!([]))
    );

    let firing = Scene::new();
    firing.alerts(&["resolved", "firing"]);
    assert_eq!(firing.run().steps.len(), 1);

    let flapping = Scene::new();
    let held = json!({"status": "resolved", "flapping": true});
    flapping.fake.put("alerts", Some("ALT-9"), &held);
    flapping.change(|incident| incident.alerts = vec!["ALT-9".into()]);
    assert_eq!(flapping.run().steps.len(), 1);

    let silent = Scene::new();
    silent.alerts(&["resolved"]);
    silent.health(&["no_data", "no_data", "no_data"]);
    assert_eq!(
        (silent.run().end, silent.called("incident-remediation")),
        (End::Escalated, 0)
    );

    let hurting = Scene::new();
    hurting.alerts(&["resolved"]);
    hurting.health(&["degraded", "degraded", "degraded"]);
    assert_eq!(
        (hurting.run().end, hurting.called("incident-remediation")),
        (End::Resolved, 1)
    );
}

#[test]
fn what_a_human_closed_stays_closed() {
    for status in [Status::Resolved, Status::Closed] {
        let scene = Scene::new();
        scene.change(|incident| incident.status = status);
        assert_eq!(scene.run().end, End::Nothing);
        assert_eq!((scene.record().status, scene.told().len()), (status, 0));
    }
    let scene = Scene::new();
    let fake = scene.fake.clone();
    scene.fake.agent("incident-root-cause", move |_| {
        change_record(&fake, |incident| incident.status = Status::Closed);
        Ok((cause(true), String::new()))
    });
    let output = scene.run();
    assert_eq!(
        (output.end, scene.record().status),
        (End::Nothing, Status::Closed)
    );
    assert_eq!(scene.called("incident-remediation"), 0);
}

#[test]
fn alerts_that_come_meanwhile_are_kept() {
    let scene = Scene::new();
    let fake = scene.fake.clone();
    scene.fake.agent("incident-triage", move |_| {
        change_record(&fake, |incident| incident.alerts.push("ALT-NEW".into()));
        Ok((triage("high"), String::new()))
    });
    scene.run();
    assert_eq!(scene.record().alerts, ["ALT-NEW"]);
}

#[test]
fn one_task_leads_at_a_time() {
    let scene = Scene::new();
    let fake = scene.fake.clone();
    let second = Rc::new(RefCell::new(None));
    let seen = second.clone();
    scene.fake.agent("incident-root-cause", move |_| {
        let mut other = task();
        other.id = "task-2".into();
        *seen.borrow_mut() = Some(fake.run::<Commander>(other).unwrap().output);
        Ok((cause(true), String::new()))
    });
    assert_eq!(scene.run().end, End::Resolved);
    let second = second.borrow_mut().take().unwrap();
    assert_eq!(second.end, End::Nothing);
    assert!(
        second.reason.contains("`task-1` leads it already"),
        "{second:?}"
    );
}

#[test]
fn a_lead_that_nobody_has_any_more_is_taken_over() {
    let scene = Scene::new();
    let mut gone = lead::Lead {
        task: "task-0".into(),
        since: incident_contract::time(0),
        until: incident_contract::time(10),
        ended: false,
        attempts: 1,
    };
    scene.fake.put("incident_leads", Some(ID), &gone);
    assert_eq!(scene.run().end, End::Resolved);
    gone.until = incident_contract::time(u64::MAX / 4);
    gone.ended = true;
    let scene = Scene::new();
    scene.fake.put("incident_leads", Some(ID), &gone);
    assert_eq!(scene.run().end, End::Resolved);
    let (_, lead) = scene.fake.records::<lead::Lead>("incident_leads").remove(0);
    assert_eq!(
        (lead.task.as_str(), lead.ended, lead.attempts),
        ("task-1", true, 2)
    );
}

#[test]
fn the_schema_of_leads_is_that_of_the_type() {
    let written: Value = from_str(include_str!("../../schemas/lead.json")).unwrap();
    let derived = to_value(mandate_sdk::schemars::schema_for!(lead::Lead)).unwrap();
    assert_eq!(written, derived, "schemas/lead.json should be {derived:#}");
}
