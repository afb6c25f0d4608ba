//! Rules of operators, and what rules could do that they must not.

use crate::Policy;
use crate::document::{Document, PolicyError, Rules};
use crate::policy::tests::facts;
use crate::verdict::Outcome;
use serde_json::json;
use std::time::{Duration, Instant};

fn compile(rego: &str) -> Result<Policy, PolicyError> {
    Policy::compile(Document {
        rules: Some(Rules {
            rego: format!("package mandate\nimport rego.v1\n{rego}"),
        }),
        ..Document::default()
    })
}

fn refused(rego: &str) -> String {
    match compile(rego) {
        Err(PolicyError::Rules(why)) => why,
        other => panic!("{rego}: {other:?}"),
    }
}

/// A policy whose rules do `rego` only for what costs more than any trial, so that they load.
fn sleeping(rego: &str) -> Policy {
    compile(&format!(
        "verdict := v if {{\n input.cost == 777000000\n {rego}\n}} else := data.mandate.shipped.verdict"
    ))
    .unwrap()
}

#[test]
fn own_rules_count_and_can_lean_on_those_of_the_host() {
    let policy = compile(
        r#"
        verdict := {"outcome": "deny", "rule": "no-scaling", "reason": sprintf("%s to %v", [input.tool, input.arguments.replicas])} if {
            input.arguments.replicas > 10
        } else := data.mandate.shipped.verdict
        "#,
    )
    .unwrap();
    let mut facts = facts(5);
    assert_eq!(policy.judge(&facts).rule, "level-1");
    facts.arguments = json!({"replicas": 11});
    let verdict = policy.judge(&facts);
    assert_eq!(
        (verdict.outcome, verdict.rule.as_str()),
        (Outcome::Deny, "no-scaling")
    );
    assert_eq!(verdict.reason, "actions.scale to 11");
}

#[test]
fn rules_that_do_not_answer_as_they_must_are_refused() {
    for (rego, says) in [
        ("verdict := ", "-->"),
        ("other := 1", "verdict"),
        ("verdict := \"approve\"", "has not the form"),
        (
            "verdict := {\"outcome\": \"allow\", \"rule\": \"r\", \"reason\": \"\"}",
            "allow",
        ),
        ("verdict := {\"outcome\": \"approve\"}", "rule"),
        (
            "verdict := {\"outcome\": \"approve\", \"rule\": \"\", \"reason\": \"\"}",
            "bytes",
        ),
        (
            "verdict := {\"outcome\": \"approve\", \"rule\": \"r\", \"reason\": \"\", \"also\": 1}",
            "also",
        ),
        (
            "verdict := data.mandate.shipped.verdict if input.level < 3",
            "$50,000.00",
        ),
        (
            "verdict := http.send({\"url\": \"http://x\", \"method\": \"GET\"})",
            "http.send",
        ),
        ("verdict := opa.runtime()", "opa.runtime"),
        ("verdict := time.now_ns()", "time.now_ns"),
        ("verdict := rand.intn(\"a\", 10)", "not there"),
        ("f(x) := f(x + 1)\nverdict := f(1)", "could not judge"),
        ("verdict := numbers.range(1, 1000000000)", "entries"),
    ] {
        let why = refused(rego);
        assert!(why.contains(says), "{rego}: {why}");
    }
    let elsewhere = Rules {
        rego: "package other\nverdict := 1".to_owned(),
    };
    let document = Document {
        rules: Some(elsewhere),
        ..Document::default()
    };
    let why = Policy::compile(document).unwrap_err().to_string();
    assert!(
        why.contains("`other`") && why.contains("package mandate"),
        "{why}"
    );
    let shadow = "package mandate.shipped\nimport rego.v1\nverdict := 1";
    let document = Document {
        rules: Some(Rules {
            rego: shadow.to_owned(),
        }),
        ..Document::default()
    };
    assert!(Policy::compile(document).is_err());
}

#[test]
fn rules_that_run_on_or_grow_ask_a_human() {
    let loops: Vec<String> = ('a'..='i').map(|x| format!("some {x} in list")).collect();
    let loops = loops.join("; ");
    let doubling: String = (1..60)
        .map(|i| format!("x{i} := concat(\"\", [x{0}, x{0}])\n", i - 1))
        .collect();
    let lists: String = (1..60)
        .map(|i| format!("x{i} := array.concat(x{0}, x{0})\n", i - 1))
        .collect();
    for rego in [
        format!("list := object.get(input.arguments, \"list\", [])\nv := count([1 | {loops}])"),
        format!("x0 := \"aaaaaaaaaaaaaaaa\"\n{doubling}v := x59"),
        format!("x0 := [1]\n{lists}v := x59"),
        "v := replace(input.arguments.long, \"a\", input.arguments.long)".to_owned(),
        "v := sprintf(\"%999999999d\", [1])".to_owned(),
        "v := numbers.range(0, input.arguments.count)".to_owned(),
        "v := to_number(input.arguments.huge)".to_owned(),
        "v := regex.match(input.arguments.pattern, \"aaaa\")".to_owned(),
        "v := json.unmarshal(input.arguments.deep)".to_owned(),
        "v := {\"outcome\": \"approve\", \"rule\": \"a\", \"reason\": \"b\"} ; 1 / 0 == 1"
            .to_owned(),
    ] {
        let policy = sleeping(&rego);
        let mut facts = facts(777);
        facts.arguments = json!({
            "list": [1, 2, 3, 4, 5, 6, 7, 8, 9],
            "long": "a".repeat(20_000),
            "count": 4_000_000_000_u64,
            "huge": "1e999999999",
            "pattern": "(x{1000}){1000}",
            "deep": "[".repeat(50_000),
        });
        let began = Instant::now();
        let verdict = policy.judge(&facts);
        assert!(verdict.outcome >= Outcome::Escalate, "{rego}: {verdict:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{rego}");
    }
}

#[test]
fn deep_arguments_are_looked_at_without_harm() {
    let policy =
        sleeping("count(json.marshal(input.arguments)) > 200; v := data.mandate.shipped.verdict");
    let mut facts = facts(777);
    for _ in 0..100 {
        facts.arguments = json!([facts.arguments]);
    }
    assert_eq!(policy.judge(&facts).rule, "level-1");
}

#[test]
fn many_rules_and_long_ones_are_refused() {
    let many: String = (0..600).map(|i| format!("r{i} := 1\n")).collect();
    assert!(refused(&format!("{many}verdict := 1")).contains("rules; the most"));
    let long = format!("# {}\n", "x".repeat(500)).repeat(200);
    assert!(refused(&format!("{long}verdict := 1")).contains("bytes; the most"));
    let deep = format!("verdict := {}1{}", "[".repeat(500), "]".repeat(500));
    assert!(refused(&deep).contains("line 3: brackets"));
    let squares: String = (1..60)
        .map(|i| format!("x{i} := x{0} * x{0}\n", i - 1))
        .collect();
    assert!(refused(&format!("x0 := 9\n{squares}verdict := x59")).contains("multiplications"));
    let chain: String = (1..500)
        .map(|i| format!("r{i} := [r{}]\n", i - 1))
        .collect();
    assert!(refused(&format!("r0 := 1\n{chain}verdict := r499")).contains("form"));
}

#[test]
fn functions_are_bounded_and_otherwise_as_they_were() {
    let policy = compile(
        r#"
        verdict := {"outcome": "approve", "rule": "r", "reason": reason} if {
            concat("-", ["a", "b"]) == "a-b"
            concat("", {"b", "a"}) == "ab"
            concat(",", []) == ""
            replace("banana", "a", "o") == "bonono"
            array.concat([1], [2, 3]) == [1, 2, 3]
            numbers.range(1, 3) == [1, 2, 3]
            numbers.range(3, 1) == [3, 2, 1]
            reason := sprintf("%s %d %v 100%%", ["text", 7, ["a"]])
        } else := {"outcome": "deny", "rule": "d", "reason": "a function is not as it was"}
        "#,
    )
    .unwrap();
    let verdict = policy.judge(&facts(1));
    assert_eq!(verdict.outcome, Outcome::Approve, "{verdict:?}");
    assert_eq!(verdict.reason, "text 7 [\"a\"] 100%");
}
