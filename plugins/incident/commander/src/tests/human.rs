//! When a human is called, and why.

use super::scene::*;

#[test]
fn what_becomes_critical_between_two_steps_is_left_to_a_human() {
    let scene = Scene::new();
    scene.remedies(&["actions.restart", "actions.scale"], 0);
    let fake = scene.fake.clone();
    scene.fake.tool("monitoring.health", move |_| {
        change_record(&fake, |incident| {
            incident.severity = Some(Severity::Critical)
        });
        Ok(json!({"services": [{"service": "web", "verdict": "degraded", "checks": []}]}))
    });
    let output = scene.run();
    assert_eq!((output.end, output.steps.len()), (End::Escalated, 1));
    assert!(
        scene
            .record()
            .escalation
            .unwrap()
            .reason
            .contains("became critical")
    );
}

#[test]
fn a_human_is_called_when_nothing_is_left() {
    let scene = Scene::new();
    scene.remedies(&["actions.restart"], 1);
    scene.health(&["degraded", "degraded", "degraded"]);
    let output = scene.run();
    assert_eq!(output.end, End::Escalated);
    let record = scene.record();
    assert_eq!(record.status, Status::Awaiting);
    let escalation = record.escalation.unwrap();
    assert_eq!(escalation.to, "database");
    assert!(
        escalation.reason.contains("`db` leaks memory"),
        "{escalation:?}"
    );
    assert_eq!(record.verification.unwrap().verdict, Verdict::NotResolved);
    assert!(record.resolved_at.is_none() && record.resolution.is_none());
    assert_eq!(scene.lessons.borrow()[0]["helped"], json!(false));
    assert_eq!(scene.told().last().unwrap(), "escalated");
}

#[test]
fn missing_data_is_no_success() {
    let scene = Scene::new();
    scene.remedies(&["actions.restart", "actions.scale"], 0);
    scene.health(&["no_data", "no_data", "no_data"]);
    let output = scene.run();
    assert_eq!((output.end, output.steps.len()), (End::Escalated, 1));
    assert_eq!(
        scene.record().verification.unwrap().verdict,
        Verdict::Inconclusive
    );
    assert!(
        scene
            .record()
            .escalation
            .unwrap()
            .reason
            .contains("cannot be told")
    );
}

#[test]
fn without_monitoring_nothing_counts_as_resolved() {
    let scene = Scene::new();
    scene.fake.tool("monitoring.health", |_| {
        Err(Error::Denied {
            capability: "invoke".into(),
            reason: "no".into(),
        })
    });
    assert_eq!(scene.run().end, End::Escalated);
    assert!(scene.record().verification.unwrap().checks[0].contains("did not answer"));
}

#[test]
fn critical_goes_to_a_human_first_and_nothing_is_done() {
    let scene = Scene::new();
    scene.fake.agent("incident-triage", |_| {
        Ok((triage("critical"), String::new()))
    });
    let fake = scene.fake.clone();
    let seen = Rc::new(RefCell::new(None));
    let status = seen.clone();
    scene.fake.agent("incident-root-cause", move |_| {
        let told: Vec<String> = fake.events().into_iter().map(|event| event.kind).collect();
        *status.borrow_mut() = Some((record(&fake).status, told));
        Ok((cause(true), String::new()))
    });
    let output = scene.run();
    assert_eq!(
        (output.end, output.cause.as_deref()),
        (End::Escalated, Some("db"))
    );
    let (status, told) = seen.borrow_mut().take().unwrap();
    assert_eq!(
        (status, told),
        (
            Status::Awaiting,
            vec!["triaged".to_owned(), "escalated".to_owned()]
        )
    );
    let record = scene.record();
    assert_eq!(
        (record.status, record.severity),
        (Status::Awaiting, Some(Severity::Critical))
    );
    assert!(record.cause.is_some() && record.remediation.unwrap().acted_at.is_none());
    assert_eq!(
        (
            scene.called("execute\\\":true"),
            scene.called("execute\\\":false")
        ),
        (0, 1)
    );
}

#[test]
fn what_becomes_critical_meanwhile_is_left_to_a_human_too() {
    let scene = Scene::new();
    let fake = scene.fake.clone();
    scene.fake.agent("incident-root-cause", move |_| {
        change_record(&fake, |incident| {
            incident.severity = Some(Severity::Critical)
        });
        Ok((cause(true), String::new()))
    });
    assert_eq!(scene.run().end, End::Escalated);
    assert_eq!(scene.called("execute\\\":true"), 0);
}

#[test]
fn a_cause_that_was_not_found_is_not_acted_upon() {
    let scene = Scene::new();
    scene
        .fake
        .agent("incident-root-cause", |_| Ok((cause(false), String::new())));
    let output = scene.run();
    assert_eq!((output.end, output.cause), (End::Escalated, None));
    assert!(output.reason.contains("not found"));
    assert_eq!(scene.called("execute\\\":true"), 0);
}

#[test]
fn agents_that_do_not_answer_are_no_end() {
    let no = || Error::NotFound("the agent; none of this name is installed".into());
    let scene = Scene::new();
    scene.fake.agent("incident-triage", move |_| Err(no()));
    assert_eq!(scene.run().end, End::Resolved);
    let triage = scene.record().triage.unwrap();
    assert_eq!(
        (triage.severity, triage.route.as_str()),
        (Severity::High, "on-call")
    );
    assert!(triage.reasons[0].contains("none of this name"));

    let scene = Scene::new();
    scene.fake.agent("incident-root-cause", move |_| Err(no()));
    assert_eq!(scene.run().end, End::Escalated);
    assert!(
        scene
            .record()
            .escalation
            .unwrap()
            .reason
            .contains("Nobody searched")
    );

    let scene = Scene::new();
    scene.fake.agent("incident-remediation", move |_| Err(no()));
    assert_eq!(scene.run().end, End::Escalated);
    assert!(
        scene
            .record()
            .escalation
            .unwrap()
            .reason
            .contains("Nobody answered")
    );
}

#[test]
fn with_no_grant_but_the_record_it_still_ends_with_a_human() {
    let fake = FakeHost::for_plugin(
        "[capabilities.records]\nwrite = [\"incidents\", \"incident_leads\"]\n[records.incident_leads]\nid = \"L-{8}\"",
    );
    fake.collection("incidents", "INC-{8}");
    fake.put(
        "incidents",
        Some(ID),
        &json!({"title": "x", "severity": "low"}),
    );
    let output = fake.run::<Commander>(task()).unwrap().output;
    assert_eq!(output.end, End::Escalated);
    assert_eq!(record(&fake).status, Status::Awaiting);
}

#[test]
fn the_time_is_bounded() {
    let scene = Scene::new();
    scene.remedies(&["actions.restart"; 50], 0);
    scene.health(&["degraded"; 200]);
    let task = task()
        .with_settings(&json!({"verify_after_seconds": 20, "most_seconds": 90}))
        .unwrap();
    let output = scene.fake.run::<Commander>(task).unwrap().output;
    assert_eq!(output.end, End::Escalated);
    assert!(output.seconds <= 91.0, "{output:?}");
}

#[test]
fn while_a_human_decides_nobody_else_leads_and_no_time_passes() {
    let scene = Scene::new();
    let fake = scene.fake.clone();
    scene.fake.agent("incident-remediation", move |_| {
        let lead = &fake.records::<lead::Lead>("incident_leads")[0].1;
        let host = fake.host();
        let left = incident_contract::micros(lead.until).saturating_sub(host.now());
        assert!(left > 3_500_000_000, "the lead ends while a human decides");
        // He takes twenty minutes.
        host.sleep(std::time::Duration::from_secs(1_200)).unwrap();
        Ok((
            json!({"runbooks": [], "steps": [step("actions.fail-over", "done")], "summary": "x",
                "acted_at": incident_contract::time(host.now())}),
            String::new(),
        ))
    });
    let output = scene.run();
    assert_eq!(output.end, End::Resolved, "{output:?}");
    assert!(output.seconds > 1_200.0);
}

#[test]
fn who_lost_the_lead_meanwhile_stops() {
    let scene = Scene::new();
    scene.health(&["degraded"; 9]);
    let fake = scene.fake.clone();
    scene.fake.agent("incident-remediation", move |_| {
        let host = fake.host();
        let leads = host.records::<lead::Lead>("incident_leads");
        let mut lead = leads.get(ID)?;
        lead.body.task = "another".into();
        leads.update(&lead)?;
        Ok((
            json!({"runbooks": [], "steps": [step("actions.restart", "done")], "summary": "x",
                "acted_at": incident_contract::time(host.now())}),
            String::new(),
        ))
    });
    let ended = scene.fake.run::<Commander>(task());
    assert!(ended.is_err_and(|error| error.is_conflict()));
    assert_eq!(scene.record().status, Status::Active, "the other goes on");
}
