use super::*;
use incident_contract::incident::{Incident, Status, StepStatus, Verdict};
use mandate_sdk::serde_json::{Value, from_str, from_value, json, to_value};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

const ID: &str = "INC-1";

/// A host on which everything works: `db` is the cause of what `web` shows, a restart helps.
struct Scene {
    fake: FakeHost,
    health: Rc<RefCell<VecDeque<&'static str>>>,
    lessons: Rc<RefCell<Vec<Value>>>,
}

fn triage(severity: &str) -> Value {
    json!({"severity": severity, "impact": "medium", "urgency": "high", "route": "database",
        "escalate": severity == "critical", "reasons": [], "confidence": 0.9})
}

fn cause(found: bool) -> Value {
    json!({"found": found, "kind": "leak", "summary": "`db` leaks memory.", "steps": [], "author": "rules",
        "ranking": [{"component": "db", "confidence": 0.8, "evidence": [], "path": ["web", "db"]}]})
}

fn step(tool: &str, status: &str) -> Value {
    json!({"tool": tool, "arguments": {"service": "db"}, "why": "x", "cost_micro_usd": 0, "risk": "low",
        "undo": "none needed", "status": status, "outcome": "restarted"})
}

impl Scene {
    fn new() -> Self {
        let fake = FakeHost::for_plugin(include_str!("../plugin.toml"));
        fake.collection("incidents", "INC-{8}");
        fake.collection("alerts", "ALT-{16}");
        fake.put(
            "incidents",
            Some(ID),
            &json!({"title": "web is slow", "severity": "high",
            "symptom": {"service": "web", "signal": "latency"}}),
        );
        fake.agent("incident-triage", |_| Ok((triage("high"), "High.".into())));
        fake.agent("incident-root-cause", |_| Ok((cause(true), "db.".into())));
        let scene = Self {
            fake,
            health: Rc::default(),
            lessons: Rc::default(),
        };
        scene.remedies(&["actions.restart"], 0);
        let health = scene.health.clone();
        scene.fake.tool("monitoring.health", move |arguments| {
            let verdict = health.borrow_mut().pop_front().unwrap_or("healthy");
            let services = arguments["services"].as_array().unwrap().iter();
            let services = services
                .map(|service| json!({"service": service, "verdict": verdict, "checks": []}));
            Ok(json!({"services": services.collect::<Vec<_>>()}))
        });
        let lessons = scene.lessons.clone();
        scene.fake.tool("knowledge.learn", move |lesson| {
            lessons.borrow_mut().push(lesson);
            Ok(json!({}))
        });
        scene
    }

    /// Remediation does these one after the other, and then has this many that wait.
    fn remedies(&self, tools: &'static [&'static str], waiting: usize) {
        let mut done = Vec::new();
        let mut left = tools.iter();
        self.fake.agent("incident-remediation", move |input| {
            let mut acted = Value::Null;
            if input["execute"] == true
                && let Some(tool) = left.next()
            {
                done.push(step(tool, "done"));
                acted = json!("2023-11-14T22:13:30Z");
            }
            let mut steps = done.clone();
            steps.extend((0..waiting).map(|_| step("actions.fail-over", "waiting")));
            let mut output = json!({"runbooks": ["RB-leak"], "steps": steps, "summary": "Did what could be done."});
            if !acted.is_null() {
                output["acted_at"] = acted;
            }
            Ok((output, String::new()))
        });
    }

    fn health(&self, verdicts: &[&'static str]) {
        self.health.borrow_mut().extend(verdicts);
    }

    fn alerts(&self, statuses: &[&str]) {
        let ids: Vec<String> = (0..statuses.len())
            .map(|number| format!("ALT-{number}"))
            .collect();
        for (id, status) in ids.iter().zip(statuses) {
            self.fake.put(
                "alerts",
                Some(id),
                &json!({"status": status, "incident": ID}),
            );
        }
        self.change(|incident| incident.alerts.clone_from(&ids));
    }

    /// Somebody else writes the record.
    fn change(&self, change: impl FnOnce(&mut Incident)) {
        change_record(&self.fake, change);
    }

    fn run(&self) -> Output {
        self.fake.run::<Commander>(task()).unwrap().output
    }

    fn record(&self) -> Incident {
        record(&self.fake)
    }

    fn told(&self) -> Vec<String> {
        self.fake
            .events()
            .into_iter()
            .map(|event| event.kind)
            .collect()
    }

    fn called(&self, what: &str) -> usize {
        self.fake
            .calls_of("invoke")
            .iter()
            .filter(|call| call.arguments.contains(what))
            .count()
    }
}

fn task() -> Task<Input> {
    Task::new(Input { incident: None }).about("incidents", ID)
}

fn record(fake: &FakeHost) -> Incident {
    fake.records::<Incident>("incidents")
        .into_iter()
        .find(|(id, _)| id == ID)
        .unwrap()
        .1
}

fn change_record(fake: &FakeHost, change: impl FnOnce(&mut Incident)) {
    let host = fake.host();
    let writer = FakeHost::host(fake);
    let mut present = writer.records::<Incident>("incidents").get(ID).unwrap();
    change(&mut present.body);
    host.records::<Incident>("incidents")
        .update(&present)
        .unwrap();
}

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
    assert_eq!(output.steps, ["actions.restart: restarted"]);
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
fn the_schema_of_leads_is_that_of_the_type() {
    let written: Value = from_str(include_str!("../schemas/lead.json")).unwrap();
    let derived = to_value(mandate_sdk::schemars::schema_for!(lead::Lead)).unwrap();
    assert_eq!(written, derived, "schemas/lead.json should be {derived:#}");
}

/// The task that comes when an alert is over.
fn alert_is_over(scene: &Scene) -> Output {
    let mut woken = Task::new(Input { incident: None }).about("alerts", "ALT-0");
    woken.kind = watch::KIND.into();
    scene.fake.run::<Commander>(woken).unwrap().output
}

fn look_around(scene: &Scene) -> Output {
    let mut look = Task::new(Input { incident: None });
    look.kind = watch::KIND.into();
    scene.fake.run::<Commander>(look).unwrap().output
}

#[test]
fn an_escalated_incident_is_closed_when_its_alerts_end_and_health_agrees() {
    let escalated = |alerts: &[&str]| {
        let scene = Scene::new();
        scene.alerts(alerts);
        scene.change(|incident| {
            incident.status = Status::Awaiting;
            incident.cause = from_value(cause(true)).unwrap();
        });
        scene
    };
    let over = escalated(&["resolved"]);
    assert_eq!(alert_is_over(&over).end, End::Resolved);
    let record = over.record();
    assert_eq!(
        (record.status, record.verification.unwrap().verdict),
        (Status::Resolved, Verdict::Resolved)
    );
    assert!(
        record
            .resolution
            .unwrap()
            .contains("`web` and `db` are healthy")
    );
    assert_eq!(over.called("incident-remediation"), 0);

    let hurting = escalated(&["resolved"]);
    hurting.health(&["degraded"; 3]);
    assert_eq!(
        (alert_is_over(&hurting).end, hurting.record().status),
        (End::Nothing, Status::Awaiting)
    );
    let silent = escalated(&["resolved"]);
    silent.health(&["no_data"; 3]);
    assert_eq!(
        (alert_is_over(&silent).end, silent.record().status),
        (End::Nothing, Status::Awaiting)
    );
    let firing = escalated(&["resolved", "firing"]);
    assert_eq!(
        (
            alert_is_over(&firing).end,
            firing.called("monitoring.health")
        ),
        (End::Nothing, 0)
    );
    let active = escalated(&["resolved"]);
    active.change(|incident| incident.status = Status::Active);
    assert_eq!(
        (
            alert_is_over(&active).end,
            active.called("monitoring.health")
        ),
        (End::Nothing, 0)
    );
}

#[test]
fn what_nobody_leads_is_taken_up_and_after_three_tasks_a_human_is_called() {
    let scene = Scene::new();
    assert!(
        look_around(&scene).reason.contains("No incident"),
        "it is new: its task will come"
    );
    scene
        .fake
        .host()
        .sleep(std::time::Duration::from_secs(100))
        .unwrap();
    assert!(look_around(&scene).reason.contains(ID));
    let task = &scene.fake.submitted()[0];
    assert_eq!(
        (task.kind.as_str(), task.subject.as_deref()),
        ("incident", Some("incidents/INC-1"))
    );

    let led = |ended: bool, attempts: u32, until: u64| {
        let scene = Scene::new();
        let lead = lead::Lead {
            task: "task-0".into(),
            since: incident_contract::time(0),
            until: incident_contract::time(until),
            ended,
            attempts,
        };
        scene.fake.put("incident_leads", Some(ID), &lead);
        scene.change(|incident| incident.status = Status::Active);
        scene
            .fake
            .host()
            .sleep(std::time::Duration::from_secs(100))
            .unwrap();
        look_around(&scene);
        (scene.fake.submitted().len(), scene.record().status)
    };
    let far = u64::MAX / 4;
    assert_eq!(led(false, 1, far), (0, Status::Active), "it is being led");
    assert_eq!(led(true, 1, far), (1, Status::Active), "its task failed");
    assert_eq!(led(false, 2, 10), (1, Status::Active), "its task is gone");
    assert_eq!(led(true, 3, far), (0, Status::Awaiting));
}
