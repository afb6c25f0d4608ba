//! Every wire against a mock that is not ours: what we write others read, and what they write we
//! read. `scripts/aimock` installs it, as `make test` does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use mandate_llm::bedrock::Bedrock;
use mandate_llm::catalog::{Row, rows};
use mandate_llm::exchange::{Deadlines, HttpClient, client};
use mandate_llm::upstream::Upstream;
use mandate_llm::{Finish, Kind, Message, ModelClass, Provider, Request, Role, ToolSpec};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// The mock; ends with this value.
struct Mock {
    child: Child,
    url: String,
}

impl Mock {
    /// Starts it with `arguments`; none where there is no node.
    fn with(arguments: &[&str]) -> Option<Self> {
        if Command::new("node").arg("--version").output().is_err() {
            println!("skipped: there is no node on this machine");
            return None;
        }
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = here.join("../../target/aimock/node_modules/.bin/llmock");
        assert!(
            program.exists(),
            "{} is missing: run scripts/aimock, as make test does",
            program.display()
        );
        let mut child = Command::new(program)
            .args(["--port", "0", "--fixtures"])
            .arg(here.join("tests/aimock/fixtures.json"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("listening on ")?.1.trim().to_owned()))
            .expect("it says where it listens");
        Some(Self { child, url })
    }

    fn start() -> Option<Self> {
        Self::with(&[])
    }

    /// It as each of the wires.
    fn wires(&self) -> Vec<Arc<dyn Provider>> {
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
        let client: HttpClient = client(tls, Duration::from_secs(5));
        let deadlines = Deadlines::default();
        let url = format!("{}/v1", self.url);
        let upstream = |wire: &str| -> Arc<dyn Provider> {
            let key = Some("mock".to_owned());
            Arc::new(Upstream::new(
                row(wire, &url),
                key,
                client.clone(),
                deadlines,
            ))
        };
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "id", "secret", None, None, "test",
            )))
            .build();
        let bedrock = Bedrock::with_config(
            row("bedrock", &self.url),
            client.clone(),
            deadlines,
            &config,
        );
        vec![upstream("openai"), upstream("anthropic"), Arc::new(bedrock)]
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        // If it ended by itself there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn row(wire: &str, url: &str) -> Row {
    let mut over = toml::Table::new();
    let mut row = toml::toml! {
        models = { fast = "m", embed = "v" }
        price = [{ model = "m", input = "1", output = "2" }]
    };
    row.insert("wire".to_owned(), wire.into());
    row.insert("url".to_owned(), url.into());
    over.insert(format!("mock-{wire}"), row.into());
    rows(&over).unwrap().pop().unwrap()
}

fn asks(text: &str) -> Request {
    Request {
        tools: vec![ToolSpec {
            name: "weather".into(),
            description: "Says how it is.".into(),
            parameters: json!({"type": "object", "properties": {"place": {"type": "string"}}}),
        }],
        ..Request::new(ModelClass::Fast, vec![Message::text(Role::User, text)], 100)
    }
}

const HELLO: &str = "Hello, and good morning to all of you who read this.";

#[tokio::test]
async fn words_come_as_a_whole_and_in_pieces() {
    let Some(mock) = Mock::start() else { return };
    for provider in mock.wires() {
        let id = provider.id().to_owned();
        let answer = provider.complete(&asks("say hello")).await.expect(&id);
        assert_eq!(answer.message.text, HELLO, "{id}");
        assert_eq!(answer.finish, Finish::Stop, "{id}");
        if id == "mock-bedrock" {
            // The mock begins a block of text with an empty union, which Amazon's SDK refuses and
            // Amazon does not send; recorded bytes stand for it (`bedrock.rs`).
            continue;
        }
        let mut pieces = Vec::new();
        let mut hear = |piece: &str| pieces.push(piece.to_owned());
        let streamed = provider.stream(&asks("say hello"), &mut hear).await;
        let streamed = streamed.expect(&id);
        assert!(pieces.len() > 1, "{id}: {pieces:?}");
        assert_eq!(pieces.concat(), HELLO, "{id}");
        assert_eq!(streamed.message, answer.message, "{id}");
        assert!(streamed.usage.is_some(), "{id}");
    }
}

#[tokio::test]
async fn tools_are_called_as_a_whole_and_in_pieces() {
    let Some(mock) = Mock::start() else { return };
    for provider in mock.wires() {
        let id = provider.id().to_owned();
        let asked = asks("which weather");
        let whole = provider.complete(&asked).await.expect(&id);
        let streamed = provider.stream(&asked, &mut |_| {}).await.expect(&id);
        for answer in [whole, streamed] {
            assert_eq!(answer.finish, Finish::ToolCalls, "{id}");
            let [call] = answer.message.tool_calls.as_slice() else {
                panic!("{id}: {:?}", answer.message);
            };
            assert_eq!(call.name, "weather", "{id}");
            assert_eq!(call.arguments, json!({"place": "Oslo"}), "{id}");
        }
    }
}

#[tokio::test]
async fn texts_become_vectors() {
    let Some(mock) = Mock::start() else { return };
    let wires = mock.wires();
    let texts = ["a lamp".to_owned(), "another lamp".to_owned()];
    let vectors = wires[0].embed(&texts).await.unwrap().vectors;
    assert_eq!(vectors, [[3.0, 4.0], [3.0, 4.0]]);
}

#[tokio::test]
async fn its_faults_are_taken_for_what_they_are() {
    for (chaos, kinds) in [
        ("--chaos-drop", &[Kind::Busy][..]),
        // What is no event of Amazon's is a stream that ended too early.
        ("--chaos-malformed", &[Kind::Garbled, Kind::Interrupted]),
        ("--chaos-disconnect", &[Kind::Interrupted]),
        ("--chaos-ratelimit", &[Kind::Busy]),
    ] {
        let Some(mock) = Mock::with(&[chaos, "1"]) else {
            return;
        };
        for provider in mock.wires() {
            let asked = asks("say hello");
            let whole = provider.complete(&asked).await.map(drop).unwrap_err();
            let mut heard = String::new();
            let mut hear = |piece: &str| heard.push_str(piece);
            let streamed = provider.stream(&asked, &mut hear).await.map(drop);
            let streamed = streamed.unwrap_err();
            for fault in [whole, streamed] {
                assert!(
                    kinds.contains(&fault.kind),
                    "{chaos} {}: {:?} {fault}",
                    provider.id(),
                    fault.kind
                );
                if chaos == "--chaos-ratelimit" {
                    assert!(fault.retry_after.is_some(), "{}: {fault}", provider.id());
                }
            }
        }
    }
}
