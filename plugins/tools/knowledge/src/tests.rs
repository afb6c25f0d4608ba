//! What is found, what is learnt, and that every kind of fault has its runbook.

use crate::lesson::Lesson;
use crate::seeds::{SEEDS, Seeded, id_of};
use crate::{AddRunbook, Learn, Read, Search};
use incident_contract::FaultKind;
use incident_contract::runbook::{COLLECTION, Runbook};
use mandate_sdk::prelude::*;
use mandate_sdk::schemars::{JsonSchema, schema_for};
use serde_json::{Value, from_value, json, to_value};

const KINDS: [FaultKind; 8] = [
    FaultKind::Latency,
    FaultKind::Errors,
    FaultKind::Leak,
    FaultKind::Cpu,
    FaultKind::Saturation,
    FaultKind::BadDeployment,
    FaultKind::DependencyLoss,
    FaultKind::Configuration,
];

fn fake() -> FakeHost {
    FakeHost::for_plugin(include_str!("../plugin.toml"))
}

fn search(fake: &FakeHost, arguments: Value) -> Value {
    fake.call_json::<Search>(&arguments).unwrap()
}

fn ids(found: &Value) -> Vec<&str> {
    let each = found.as_array().unwrap().iter();
    each.map(|one| one["id"].as_str().unwrap()).collect()
}

#[test]
fn there_is_a_runbook_for_each_kind_and_its_steps_get_less_harmless() {
    let all: Vec<(&str, Runbook)> = SEEDS
        .iter()
        .map(|(slug, text)| (*slug, serde_json::from_str(text).unwrap()))
        .collect();
    for kind in KINDS {
        let general = all
            .iter()
            .any(|(_, runbook)| runbook.kinds.contains(&kind) && runbook.components.is_empty());
        assert!(general, "{kind:?}");
    }
    for (slug, runbook) in &all {
        assert!(!runbook.steps.is_empty(), "{slug}");
        assert!(
            runbook.text.len() > 500 && runbook.text.contains("Verify"),
            "{slug}"
        );
        for step in &runbook.steps {
            let known = ["restart", "clear-cache", "scale", "roll-back", "fail-over"]
                .map(|action| format!("actions.{action}"));
            assert!(known.contains(&step.tool), "{slug}: {}", step.tool);
            assert_eq!(step.arguments["service"], "{component}", "{slug}");
            assert!(
                step.arguments["reason"].as_str().unwrap().len() > 10,
                "{slug}"
            );
            assert!(step.undo.is_some(), "{slug}");
        }
        let costs: Vec<i64> = runbook
            .steps
            .iter()
            .map(|step| step.cost_micro_usd.unwrap())
            .collect();
        assert!(costs.iter().all(|cost| *cost <= 100_000_000) || *slug == "dependency-loss");
    }
    let (_, loss) = all
        .iter()
        .find(|(slug, _)| *slug == "dependency-loss")
        .unwrap();
    let last = loss.steps.last().unwrap();
    assert_eq!(
        (last.tool.as_str(), last.cost_micro_usd),
        ("actions.fail-over", Some(2_500_000_000))
    );
}

#[test]
fn the_kind_decides_first() {
    let fake = fake();
    for (kind, slug) in [
        ("latency", "latency"),
        ("errors", "errors"),
        ("leak", "leak"),
        ("cpu", "cpu"),
        ("saturation", "saturation"),
        ("bad_deployment", "bad-deployment"),
        ("dependency_loss", "dependency-loss"),
        ("configuration", "configuration"),
    ] {
        // The words speak of something else on purpose.
        let text = if kind == "leak" {
            "errors errors deployment"
        } else {
            "memory grows"
        };
        let found = search(
            &fake,
            json!({"text": text, "kinds": [kind], "component": "orders"}),
        );
        assert_eq!(ids(&found["runbooks"])[0], id_of(slug), "{kind}");
        assert!(
            !ids(&found["runbooks"]).contains(&"RB-cache-trouble"),
            "{kind}: of other components"
        );
    }
    let cache = search(
        &fake,
        json!({"kinds": ["latency"], "component": "Product-Cache"}),
    );
    assert_eq!(
        ids(&cache["runbooks"])[..2],
        ["RB-cache-trouble", "RB-latency"]
    );
}

#[test]
fn words_find_too_and_nothing_is_found_for_nonsense() {
    let fake = fake();
    let found = search(
        &fake,
        json!({"text": "memory heap dump garbage", "limit": 1}),
    );
    assert_eq!(ids(&found["runbooks"]), ["RB-leak"]);
    let none = search(&fake, json!({"text": "xylophone zeppelin"}));
    assert_eq!(none, json!({"runbooks": [], "lessons": []}));
    let all = search(&fake, json!({"limit": 20}));
    assert_eq!(ids(&all["runbooks"]).len(), SEEDS.len());
    assert!(fake.call_json::<Search>(&json!({"colour": 1})).is_err());
}

#[test]
fn what_an_operator_changes_or_removes_stays_so() {
    let fake = fake();
    let mut own: Runbook = serde_json::from_str(SEEDS[0].1).unwrap();
    own.title = "Ours".to_owned();
    // He wrote one of that name before anybody searched.
    fake.put(COLLECTION, Some(&id_of(SEEDS[0].0)), &own);
    search(&fake, json!({}));
    let entry = |id: &str| fake.call_json::<Read>(&json!({ "id": id }));
    assert_eq!(
        entry(&id_of(SEEDS[0].0)).unwrap()["runbook"]["title"],
        "Ours"
    );
    let host = fake.host();
    let leak = host.records::<Runbook>(COLLECTION).get("RB-leak").unwrap();
    host.records::<Runbook>(COLLECTION).delete(&leak).unwrap();
    search(&fake, json!({}));
    assert!(entry("RB-leak").unwrap_err().is_not_found());
    assert_eq!(fake.records::<Runbook>(COLLECTION).len(), SEEDS.len() - 1);
    assert_eq!(fake.records::<Seeded>("knowledge_seeds").len(), 1);
}

#[test]
fn sowing_goes_on_where_it_broke_off_and_costs_one_look_afterwards() {
    let fake = fake();
    let half: Runbook = serde_json::from_str(SEEDS[3].1).unwrap();
    fake.put(COLLECTION, Some(&id_of(SEEDS[3].0)), &half);
    search(&fake, json!({}));
    let writes = || {
        fake.calls_of("records")
            .iter()
            .filter(|call| call.function == "create")
            .count()
    };
    let before = writes();
    search(&fake, json!({}));
    assert_eq!(writes(), before);
    // A later version brings one more.
    let host = fake.host();
    let done = host.records::<Seeded>("knowledge_seeds");
    done.change("SEED-runbooks", |seeded| {
        seeded.slugs.retain(|slug| slug != "cpu")
    })
    .unwrap();
    let cpu = host.records::<Runbook>(COLLECTION).get("RB-cpu").unwrap();
    host.records::<Runbook>(COLLECTION).delete(&cpu).unwrap();
    search(&fake, json!({}));
    assert!(host.records::<Runbook>(COLLECTION).get("RB-cpu").is_ok());
}

fn lesson(incident: &str, component: &str, helped: bool) -> Value {
    json!({"incident": incident, "title": "Checkout answers slowly", "component": component, "kind": "leak",
        "symptom": {"service": "checkout", "signal": "latency"}, "steps": ["actions.restart"],
        "helped": helped, "text": "Memory of the component had grown."})
}

#[test]
fn an_incident_teaches_once() {
    let fake = fake();
    let learn = |said: &Value| fake.call_json::<Learn>(said).unwrap();
    let said = lesson("INC-12345678", "cart", true);
    assert_eq!(learn(&said), json!({"id": "LSN-INC-12345678", "new": true}));
    assert_eq!(
        learn(&said),
        json!({"id": "LSN-INC-12345678", "new": false})
    );
    let mut other = said.clone();
    other["helped"] = json!(false);
    assert_eq!(
        learn(&other),
        json!({"id": "LSN-INC-12345678", "new": false})
    );
    let kept = fake.records::<Lesson>("lessons");
    assert_eq!((kept.len(), kept[0].1.helped), (1, false));
    let read = fake
        .call_json::<Read>(&json!({"id": "LSN-INC-12345678"}))
        .unwrap();
    assert_eq!(read["lesson"]["component"], "cart");
}

#[test]
fn the_past_is_found_by_words_component_and_kind() {
    let fake = fake();
    for (incident, component, helped) in [
        ("INC-1", "cart", false),
        ("INC-2", "cart", true),
        ("INC-3", "search", true),
    ] {
        fake.call_json::<Learn>(&lesson(incident, component, helped))
            .unwrap();
    }
    let found = search(
        &fake,
        json!({"text": "checkout slowly", "kinds": ["leak"], "component": "cart"}),
    );
    assert_eq!(
        ids(&found["lessons"]),
        ["LSN-INC-2", "LSN-INC-1", "LSN-INC-3"]
    );
    let other = search(
        &fake,
        json!({"text": "mail", "kinds": ["cpu"], "component": "mail"}),
    );
    assert_eq!(other["lessons"], json!([]));
}

#[test]
fn runbooks_can_be_added_and_bad_ones_are_refused_with_the_field() {
    let fake = fake();
    let good = json!({"title": "Ours", "text": "Do this.", "kinds": ["cpu"], "components": ["billing"],
        "steps": [{"tool": "actions.restart", "arguments": {"service": "{component}"}, "why": "It helps.",
            "cost_micro_usd": 0, "risk": "low", "undo": null}]});
    let add = |arguments: Value| fake.call_json::<AddRunbook>(&arguments);
    let first = add(json!({ "runbook": good })).unwrap();
    assert_eq!(first["new"], true);
    assert_eq!(
        add(json!({ "runbook": good })).unwrap(),
        json!({"id": first["id"], "new": false})
    );
    assert_eq!(
        add(json!({"id": "RB-ours", "runbook": good})).unwrap()["new"],
        true
    );
    let found = search(&fake, json!({"kinds": ["cpu"], "component": "billing-api"}));
    assert_eq!(ids(&found["runbooks"]).last(), Some(&"RB-cpu"));
    let refused = |change: fn(&mut Value)| {
        let mut bad = good.clone();
        change(&mut bad);
        add(json!({ "runbook": bad })).unwrap_err().to_string()
    };
    assert!(refused(|it| it["title"] = json!(" ")).contains("/runbook"));
    assert!(refused(|it| it["kinds"] = json!([])).contains("/runbook/kinds"));
    assert!(
        refused(|it| it["steps"][0]["tool"] = json!("restart")).contains("/runbook/steps/0/tool")
    );
    assert!(refused(|it| it["steps"][0]["cost_micro_usd"] = json!(-1)).contains("cost_micro_usd"));
    assert!(
        refused(|it| it["steps"] = vec![it["steps"][0].clone(); 21].into()).contains("at most 20")
    );
}

#[test]
fn a_spoilt_record_hides_no_other() {
    let fake = fake();
    let spoilt =
        json!({"title": "Ours", "text": "memory", "kinds": ["leak"], "steps": [{"tool": 7}]});
    fake.put(COLLECTION, Some("RB-spoilt"), &spoilt);
    fake.put(
        "lessons",
        Some("LSN-x"),
        &json!({"title": "memory", "kind": "leak", "helped": "yes"}),
    );
    fake.call_json::<Learn>(&lesson("INC-1", "cart", true))
        .unwrap();
    let found = search(&fake, json!({"text": "memory", "kinds": ["leak"]}));
    assert_eq!(ids(&found["runbooks"])[0], "RB-leak");
    assert_eq!(ids(&found["lessons"]), ["LSN-INC-1"]);
}

#[test]
fn without_the_grants_it_says_so() {
    let bare = FakeHost::denying();
    let denied = bare.call_json::<Search>(&json!({})).unwrap_err();
    assert!(matches!(denied, Error::Denied { .. }), "{denied}");
}

/// Compares a file with what the type says; writes it when `UPDATE=1`.
fn same<T: JsonSchema>(file: &str) {
    let path = format!("{}/schemas/{file}", env!("CARGO_MANIFEST_DIR"));
    let derived = to_value(schema_for!(T)).unwrap();
    if std::env::var("UPDATE").is_ok_and(|yes| yes == "1") {
        std::fs::write(&path, format!("{derived:#}\n")).unwrap();
    }
    let written: Value = std::fs::read_to_string(&path)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or(json!(null));
    assert_eq!(
        written, derived,
        "{path}: run the tests with UPDATE=1 and look at the difference"
    );
}

#[test]
fn the_schemas_of_records_are_those_of_the_types() {
    same::<Runbook>("runbook.json");
    same::<Lesson>("lesson.json");
    same::<Seeded>("seeded.json");
}

#[test]
fn what_others_rely_on_keeps_its_form() {
    let found = search(&fake(), json!({"kinds": ["leak"], "limit": 1}));
    let runbook: Runbook = from_value(found["runbooks"][0]["runbook"].clone()).unwrap();
    assert_eq!(runbook.steps[0].tool, "actions.restart");
}
