//! That the fake host answers as a real one does.

use super::*;
use crate::invoke::Call;
use crate::llm::ModelClass;
use crate::records::Comparison;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Note {
    topic: String,
    weight: u32,
}

fn note(topic: &str, weight: u32) -> Note {
    Note {
        topic: topic.to_owned(),
        weight,
    }
}

const MANIFEST: &str = r#"
[plugin]
id = "sample"
[capabilities]
llm = { classes = ["fast"] }
invoke = { tools = ["text.*"] }
records = { write = ["notes"] }
[records.notes]
id = "NOTE-{8}"
schema = { type = "object" }
indexed = { weight = "number" }
full_text = ["topic"]
"#;

#[test]
fn records_have_versions_and_conflicts() {
    let fake = FakeHost::for_plugin(MANIFEST);
    let host = fake.host();
    let notes = host.records::<Note>("notes");
    let mut first = notes.create(&note("disk", 1)).unwrap();
    assert_eq!((first.id.as_str(), first.version), ("NOTE-00000001", 1));
    let stale = first.clone();
    first.body.weight = 2;
    assert_eq!(notes.update(&first).unwrap().version, 2);
    assert!(notes.update(&stale).unwrap_err().is_conflict());
    assert!(notes.delete(&stale).unwrap_err().is_conflict());
    assert_eq!(
        notes
            .change(&first.id, |body| body.weight += 1)
            .unwrap()
            .body
            .weight,
        3
    );
    assert!(
        notes
            .create_as(&first.id, &note("again", 1))
            .unwrap_err()
            .is_conflict()
    );
    assert!(notes.get("NOTE-none").unwrap_err().is_not_found());
    notes.delete(&notes.get(&first.id).unwrap()).unwrap();
    assert!(fake.records::<Note>("notes").is_empty());
}

#[test]
fn queries_filter_order_search_and_page() {
    let fake = FakeHost::for_plugin(MANIFEST);
    let host = fake.host();
    let notes = host.records::<Note>("notes");
    for weight in 0..5 {
        notes
            .create(&note(&format!("disk {weight} is full"), weight))
            .unwrap();
    }
    let weights = |records: Vec<crate::records::Record<Note>>| -> Vec<u32> {
        records
            .into_iter()
            .map(|record| record.body.weight)
            .collect()
    };
    let page = notes
        .find()
        .filter("weight", Comparison::AtLeast, 2)
        .ascending("weight")
        .limit(2)
        .page()
        .unwrap();
    assert_eq!(weights(page.records), [2, 3]);
    let next = notes
        .find()
        .filter("weight", Comparison::AtLeast, 2)
        .ascending("weight")
        .limit(2);
    assert_eq!(
        weights(next.after(page.cursor.unwrap()).page().unwrap().records),
        [4]
    );
    assert_eq!(weights(notes.find().limit(2).all(3).unwrap()), [4, 3, 2]);
    assert_eq!(
        weights(
            notes
                .find()
                .filter("weight", Comparison::OneOf, [1, 3])
                .all(9)
                .unwrap()
        ),
        [3, 1]
    );
    assert_eq!(
        notes
            .find()
            .text("FULL disk 3")
            .first()
            .unwrap()
            .unwrap()
            .body
            .weight,
        3
    );
    assert!(notes.find().text("empty").first().unwrap().is_none());
    assert!(
        matches!(notes.find().equal("topic", "x").page(), Err(Error::Invalid(text)) if text.contains("topic"))
    );
    assert!(matches!(
        notes.find().limit(0).page(),
        Err(Error::Invalid(_))
    ));
}

#[test]
fn what_the_manifest_does_not_ask_for_is_denied() {
    let fake = FakeHost::for_plugin(MANIFEST);
    fake.tool("text.count", |_| Ok(json!(3)));
    fake.tool("disk.erase", |_| Ok(json!("gone")));
    fake.model_says("hello");
    let host = fake.host();
    assert_eq!(host.call_tool::<u32>("text.count", &json!({})).unwrap(), 3);
    assert!(matches!(
        host.call_tool::<String>("disk.erase", &json!({})),
        Err(Error::Denied { capability, reason }) if capability == "invoke" && reason.contains("disk.erase")
    ));
    assert!(matches!(
        host.call_agent::<u32>("other", "x", &json!({})),
        Err(Error::Denied { .. })
    ));
    assert!(
        host.llm()
            .complete(&Request::new(ModelClass::Fast).user("hi"))
            .is_ok()
    );
    assert!(matches!(
        host.llm().complete(&Request::new(ModelClass::Smart)),
        Err(Error::Denied { .. })
    ));
    assert!(matches!(
        host.publish("x", None, &1),
        Err(Error::Denied { .. })
    ));
    assert!(matches!(
        host.telemetry().topology(),
        Err(Error::Denied { .. })
    ));
    assert!(matches!(
        host.records::<Note>("others").get("x"),
        Err(Error::Denied { .. })
    ));
    assert_eq!(host.offers().unwrap().len(), 1);
    assert!(matches!(
        FakeHost::denying().host().offers(),
        Err(Error::Denied { .. })
    ));
}

#[test]
fn many_calls_keep_their_order() {
    let fake = FakeHost::new();
    fake.tool("math.double", |number| {
        Ok(json!(number.as_u64().unwrap_or(0) * 2))
    });
    fake.agent("thinker", |input| Ok((input, "thought".to_owned())));
    let host = fake.host();
    let results: Vec<u64> = host
        .call_tool_many("math.double", &[1, 2, 3])
        .unwrap()
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(results, [2, 4, 6]);
    let calls = [
        Call::to_tool("no.such", &json!({})).unwrap(),
        Call::to_agent("thinker", "Think", &json!([7])).unwrap(),
    ];
    let answers = host.call_many(&calls);
    assert!(answers[0].as_ref().unwrap_err().is_not_found());
    assert_eq!(
        answers[1].as_ref().unwrap().typed::<Vec<u32>>().unwrap(),
        [7]
    );
    assert_eq!(
        host.call_agent::<Value>("thinker", "Think", &json!({}))
            .unwrap()
            .summary,
        "thought"
    );
}

#[test]
fn an_answer_to_a_schema_is_asked_for_twice_at_most() {
    let fake = FakeHost::new();
    fake.model_says("weight: heavy");
    fake.model_says_json(&note("disk", 4));
    let request = Request::new(ModelClass::Smart).user("which?");
    let answer = fake
        .host()
        .llm()
        .structured::<Note>(request.clone())
        .unwrap();
    assert_eq!((answer.value, answer.cost), (note("disk", 4), 200));
    assert!(
        fake.calls_of("llm")[0].arguments.contains("weight"),
        "the schema goes along"
    );
    fake.model_says("no");
    fake.model_says("never");
    assert!(matches!(
        fake.host().llm().structured::<Note>(request),
        Err(Error::Failed { .. })
    ));
}

#[test]
fn time_passes_by_reading_and_sleeping_and_random_differs() {
    let host = FakeHost::new().host();
    let start = host.now();
    host.sleep(Duration::from_secs(1)).unwrap();
    assert_eq!(host.now() - start, 1_001_000);
    assert_ne!(host.random_u64(), host.random_u64());
    assert_eq!(
        FakeHost::new().host().random_bytes(16),
        FakeHost::new().host().random_bytes(16)
    );
}

struct Weigh;

impl Tool for Weigh {
    const NAME: &'static str = "weigh";
    const SUMMARY: &'static str = "Weighs.";
    type Arguments = Note;
    type Result = u32;
    fn call(arguments: Note, _: &Context, _: &Host) -> Result<u32, Error> {
        Ok(arguments.weight)
    }
}

struct Ask;

impl Agent for Ask {
    type Input = Note;
    type Output = Note;
    const SUMMARY: &'static str = "Asks the scales.";
    fn run(task: Task<Note>, host: &Host) -> Result<Report<Note>, Error> {
        let more: u32 = task.settings::<u32>()?;
        let weight = host.call_tool::<u32>("scales.weigh", &task.input)? + more;
        host.publish("weighed", task.subject.as_deref(), &weight)?;
        host.progress(1.0, "weighed");
        Ok(Report::new(
            Note {
                weight,
                ..task.input
            },
            "Weighed.",
        )
        .with_quality(2.0))
    }
}

crate::agent!(Ask);
crate::tools!(Weigh);

#[test]
fn agents_and_tools_run_with_types_and_with_json() {
    let fake = FakeHost::new();
    fake.tool_of::<Weigh>("scales");
    let task = Task::new(note("a", 3))
        .about("notes", "NOTE-1")
        .with_settings(&10)
        .unwrap();
    assert_eq!(task.subject_in("notes"), Some("NOTE-1"));
    assert_eq!(task.subject_in("other"), None);
    let report = fake.run::<Ask>(task).unwrap();
    assert_eq!((report.output.weight, report.quality), (13, Some(1.0)));
    assert_eq!(fake.events()[0].subject.as_deref(), Some("notes/NOTE-1"));
    assert_eq!(fake.progress(), [(Some(1.0), "weighed".to_owned())]);
    assert!(matches!(
        fake.run_json::<Ask>(&json!({ "topic": "a" })),
        Err(Error::Invalid(text)) if text.contains("input") && text.contains("weight")
    ));
    assert!(
        fake.host().offers().unwrap()[0]
            .arguments
            .contains("weight"),
        "the schema of the tool's arguments"
    );
}

#[test]
fn what_crosses_the_boundary_is_described_by_the_types() {
    let described = crate::agent::describe::<Ask>();
    assert_eq!(described.summary, "Asks the scales.");
    let schema: Value = serde_json::from_str(&described.input).unwrap();
    assert_eq!(schema["required"], json!(["topic", "weight"]));
    assert_eq!(crate::tool::describe::<Weigh>().name, "weigh");
    let wire = crate::bindings::tool::exports::mandate::tool::tool::Request {
        name: "weigh".into(),
        arguments: r#"{"topic":"a","weight":5}"#.into(),
        tenant: "default".into(),
        task: None,
        subject: None,
        settings: "{}".into(),
    };
    assert_eq!(
        crate::tool::call::<Weigh>(wire, &FakeHost::new().host()),
        Ok("5".to_owned())
    );
}

#[test]
fn requests_go_where_the_manifest_asks_and_no_secret_is_seen() {
    let fake = FakeHost::for_plugin(
        "[capabilities]\nsecrets = [\"KEY\"]\n[capabilities.http]\nhosts = [\"*.example.com\", \"http://10.0.0.7:9090\", \"any.example:*\"]\nmethods = [\"GET\", \"POST\"]\npaths = [\"/v1/*\"]\n",
    );
    let host = fake.host();
    assert!(
        host.http()
            .get("https://api.example.com/v1/a")
            .unwrap_err()
            .is_retryable()
    );
    fake.http(|request| {
        Ok(http_answer(
            200,
            format!("{} {}", request.method, request.url),
        ))
    });
    for fine in [
        "https://API.example.com:443/v1/a?b",
        "http://10.0.0.7:9090/v1/",
        "https://any.example/v1/",
        "https://any.example:8443/v1/",
    ] {
        assert_eq!(host.http().get(fine).unwrap().text(), format!("GET {fine}"));
    }
    for other in [
        "https://example.com/v1/",
        "http://api.example.com/v1/",
        "https://api.example.com:8443/v1/",
        "https://api.example.com/v2/",
        "https://api.example.com",
        "http://10.0.0.7/v1/",
        "http://any.example:8080/v1/",
        "api.example.com/v1/",
    ] {
        let told = host.http().get(other).unwrap_err();
        assert!(matches!(told, Error::Denied { .. }), "{other}: {told}");
    }
    let with = |value: &str| {
        let request = http::Request::post("https://api.example.com/v1/a");
        host.http().send(&request.header("authorization", value))
    };
    assert_eq!(with("Bearer {{secret:KEY}}").unwrap().status, 200);
    assert!(matches!(
        with("{{secret:OTHER}}"),
        Err(Error::Denied { .. })
    ));
    assert_eq!(with("{{hmac-sha256:KEY}}").unwrap().status, 200);
    assert!(matches!(
        with("{{hmac-sha256:OTHER}}"),
        Err(Error::Denied { .. })
    ));
    assert!(matches!(with("{{secret:KEY"), Err(Error::Invalid(_))));
    assert!(
        fake.calls_of("http")
            .last()
            .unwrap()
            .arguments
            .contains("{{secret:")
    );
}

#[test]
fn an_agent_that_goes_on_ends_with_what_comes_next() {
    struct Pages;
    impl Agent for Pages {
        type Input = Note;
        type Output = Note;
        const SUMMARY: &'static str = "Reads pages.";
        fn run(task: Task<Note>, host: &Host) -> Result<Report<Note>, Error> {
            if task.input.weight < 3 {
                let next = note(&task.input.topic, task.input.weight + 1);
                return Err(host.continue_as_new(&next));
            }
            Ok(Report::new(task.input, "Read."))
        }
    }
    let fake = FakeHost::denying();
    let ended = fake.run::<Pages>(Task::new(note("disk", 2)));
    assert!(matches!(ended, Err(Error::Interrupted(_))), "{ended:?}");
    let next = fake.continued::<Note>().unwrap();
    assert_eq!(next, note("disk", 3));
    assert_eq!(
        fake.run::<Pages>(Task::new(next.clone())).unwrap().output,
        next
    );
}

#[test]
fn an_answer_is_heard_in_pieces_and_as_a_whole() {
    let fake = FakeHost::new();
    fake.model_says("one two");
    fake.model_says("three");
    let host = fake.host();
    let request = Request::new(ModelClass::Fast).user("Count.");
    let mut answer = host.llm().stream(&request).unwrap();
    assert!(fake.calls_of("llm-stream").is_empty());
    let pieces: Vec<String> = answer.by_ref().map(Result::unwrap).collect();
    assert_eq!(pieces, ["one ", "two"]);
    assert_eq!(answer.response().unwrap().message.text, "one two");
    assert_eq!(answer.next(), None);
    assert_eq!(answer.into_response().unwrap().message.text, "one two");
    assert_eq!(fake.calls_of("llm-stream").len(), 3);
    // Whoever does not look at the pieces has the whole answer too.
    let rest = host.llm().stream(&request).unwrap().into_response();
    assert_eq!(rest.unwrap().message.text, "three");
    // The script is at its end.
    let mut none = host.llm().stream(&request).unwrap();
    assert!(matches!(none.next(), Some(Err(Error::Unavailable { .. }))));
    assert!(none.next().is_none() && none.response().is_none());
    assert!(matches!(
        none.into_response(),
        Err(Error::Unavailable { .. })
    ));
}

#[test]
fn an_agent_goes_on_with_what_it_heard_first() {
    #[derive(Deserialize, JsonSchema)]
    struct Question {
        question: String,
    }
    struct Hears;
    impl Agent for Hears {
        type Input = Question;
        type Output = String;
        const SUMMARY: &'static str = "Answers at once.";
        fn run(task: Task<Question>, host: &Host) -> Result<Report<String>, Error> {
            // As in the guide for authors.
            let request = Request::new(ModelClass::Smart).user(&task.input.question);
            let mut answer = host.llm().stream(&request)?;
            for piece in &mut answer {
                if piece?.contains("NOTHING") {
                    return Err(Error::failed("the model has nothing to say")); // nobody waits for the rest of it
                }
            }
            let answer = answer.into_response()?.message.text;
            Ok(Report::new(answer, "Answered."))
        }
    }
    let fake = FakeHost::new();
    fake.model_says("42");
    let ask = || Question {
        question: "6 × 7?".to_owned(),
    };
    assert_eq!(fake.run::<Hears>(Task::new(ask())).unwrap().output, "42");
    fake.model_says("NOTHING, and why that is so");
    assert!(fake.run::<Hears>(Task::new(ask())).is_err());
    assert_eq!(fake.calls_of("llm-stream").len(), 4);
}

#[test]
fn at_most_sixteen_answers_are_open_and_dropping_one_closes_it() {
    let fake = FakeHost::new();
    let host = fake.host();
    let request = Request::new(ModelClass::Fast).user("Count.");
    let open = || host.llm().stream(&request);
    let mut all: Vec<_> = (0..16).map(|_| open().unwrap()).collect();
    assert!(matches!(open(), Err(Error::Conflict(_))));
    all.pop();
    assert!(open().is_ok());
    let denied = FakeHost::denying();
    let host = denied.host();
    let mut answer = host.llm().stream(&request).unwrap();
    assert!(matches!(answer.next(), Some(Err(Error::Denied { .. }))));
}
