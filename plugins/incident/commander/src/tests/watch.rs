//! What is closed later, and what is taken up again.

use super::scene::*;

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
fn a_look_around_closes_what_is_over() {
    let scene = Scene::new();
    scene.alerts(&["resolved"]);
    scene.change(|incident| {
        incident.status = Status::Awaiting;
        incident.cause = from_value(cause(true)).unwrap();
    });
    assert!(look_around(&scene).reason.starts_with("Over: INC-"));
    assert_eq!(scene.record().status, Status::Resolved);
}

#[test]
fn alerts_that_flapped_are_let_go_of() {
    let scene = Scene::new();
    let settled = Rc::new(RefCell::new(0));
    let count = settled.clone();
    scene.fake.tool("incidents.settle", move |_| {
        *count.borrow_mut() += 1;
        Ok(json!({"settled": 0}))
    });
    look_around(&scene);
    assert_eq!(*settled.borrow(), 1);
    let without = Scene::new();
    assert!(look_around(&without).reason.contains("No incident"));
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
