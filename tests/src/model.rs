//! A provider of models that says its answer when tests let it: each request hears the same, from
//! the beginning, as far as it is told so far. And what tests ask about those who hear that.

use crate::host::Options;
use crate::receiver::Request;
use crate::{Client, Do, Plugin, agent};
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
/// Five tokens of input, and nine of output.
const END: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":9}}\n\n\
    data: [DONE]\n\n";

/// What an answer costs in micro-dollars: a token of input one, of output two.
pub const PAID: i64 = 5 + 18;

/// The provider.
pub struct Model {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
struct Told {
    asked: Vec<Value>,
    pieces: Vec<String>,
    /// The connection is closed after the pieces.
    over: bool,
    /// How many of those who asked are gone.
    gone: usize,
}

impl Model {
    /// Starts it.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                std::thread::spawn(move || stream.map(|stream| serve(&stream, &serving)));
            }
        });
        Self { address, shared }
    }

    /// A host whose only provider it is, with this much more of a configuration.
    pub fn options(&self, config: &str) -> Options {
        let config = format!(
            "[api]\nrequests_per_second = 100000\nrequest_burst = 100000\n\
             [models]\norder = [\"fake\"]\n\
             [models.providers.fake]\nwire = \"openai\"\nurl = \"http://{}/v1\"\n\
             keys = [\"FAKE_MODEL_KEY\"]\nmodels = {{ fast = \"m\" }}\n\
             price = [{{ model = \"m\", input = \"1\", output = \"2\" }}]\n{config}",
            self.address
        );
        Options {
            config,
            environment: vec![("FAKE_MODEL_KEY".to_owned(), "sk-test".to_owned())],
            ..Options::default()
        }
    }

    fn tell(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.shared.told.lock().unwrap());
        self.shared.changed.notify_all();
    }

    /// Says a piece of its answer.
    pub fn say(&self, text: &str) {
        self.piece(&json!({"content": text}));
    }

    /// Says a piece of what it thinks.
    pub fn think(&self, text: &str) {
        self.piece(&json!({"reasoning_content": text}));
    }

    fn piece(&self, delta: &Value) {
        let piece = json!({"choices": [{"delta": delta}]});
        self.tell(|told| told.pieces.push(format!("data: {piece}\n\n")));
    }

    /// Says that the answer is over.
    pub fn end(&self) {
        self.tell(|told| {
            told.pieces.push(END.to_owned());
            told.over = true;
        });
    }

    /// Breaks off.
    pub fn cut(&self) {
        self.tell(|told| told.over = true);
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.shared.told.lock().unwrap().asked.len()
    }

    /// The messages of the request that came as number `n`, from 0.
    pub fn heard(&self, n: usize) -> Value {
        self.shared.told.lock().unwrap().asked[n]["messages"].clone()
    }

    /// How many of those who asked went before the end.
    pub fn gone(&self) -> usize {
        self.shared.told.lock().unwrap().gone
    }
}

fn serve(mut stream: &TcpStream, shared: &Shared) {
    let Some(request) = Request::read(stream) else {
        return;
    };
    shared.told.lock().unwrap().asked.push(request.json());
    let mut next = HEAD.to_owned();
    let mut said = 0;
    loop {
        // A comment: whether anybody listens.
        let sent = stream.write_all(next.as_bytes());
        if sent.is_err() || stream.write_all(b": wait\n\n").is_err() {
            shared.told.lock().unwrap().gone += 1;
            return;
        }
        let told = shared.told.lock().unwrap();
        let (told, _) = shared
            .changed
            .wait_timeout_while(told, std::time::Duration::from_millis(50), |told| {
                !told.over && told.pieces.len() == said
            })
            .unwrap();
        if told.over && told.pieces.len() == said {
            return;
        }
        next = told.pieces[said..].concat();
        said = told.pieces.len();
    }
}

/// What may be billed at most: at most so many tokens of input as the request has bytes, and 200.
const LEAST_RESERVED: i64 = 400;

/// An agent that is granted a model, and so much money for a task.
pub fn asks(name: &str, does: impl IntoIterator<Item = Do>) -> Plugin {
    agent(name)
        .manifest("[capabilities.llm]\nclasses = [\"fast\"]\nmax_cost_per_task = 1000000")
        .does(does)
}

/// Hears one answer to its end.
pub fn hears_all() -> [Do; 2] {
    [Do::Open("hello".into()), Do::PullAll(1)]
}

/// The id of a new task of this kind.
pub async fn submit(client: &Client, kind: &str) -> String {
    let task = client.submit(&json!({"kind": kind, "input": {}})).await;
    task["id"].as_str().unwrap().to_owned()
}

/// What each pull was told.
pub async fn pulled(client: &Client, task: &str) -> Vec<Value> {
    let steps = client.steps(task).await;
    let pulls = steps.into_iter().filter(|step| step["function"] == "pull");
    pulls.map(|step| step["answer"].clone()).collect()
}

/// The texts that those who follow the task were told.
pub async fn told(client: &Client, task: &str) -> Vec<String> {
    let path = format!("/api/v1/events?kinds=task_text&task={task}");
    let events = client.get(&path).await.ok()["items"].clone();
    let text = |event: &Value| event["data"]["text"].as_str().unwrap().to_owned();
    events.as_array().unwrap().iter().map(text).collect()
}

/// Lets the model say this, and waits until those who follow the task were told all of it.
pub async fn hear(client: &Client, task: &str, model: &Model, text: &str, so_far: &str) {
    model.say(text);
    client
        .until(|| async { (told(client, task).await.concat() == so_far).then_some(()) })
        .await;
}

/// Waits until the model was asked so often.
pub async fn asked(client: &Client, model: &Model, times: usize) {
    client
        .until(|| async { (model.asked() == times).then_some(()) })
        .await;
}

/// What model calls of the task cost, or may.
pub async fn ledger(client: &Client, task: &str) -> Vec<Value> {
    client.all(&format!("/api/v1/ledger?task={task}&")).await
}

/// The ledger has one entry, booked at its worst because nobody knows.
pub async fn is_booked_in_full(client: &Client, task: &str) {
    let entries = ledger(client, task).await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    let entry = &entries[0];
    assert_eq!(entry["uncertain"], true, "{entry}");
    assert_eq!(entry["settled"], entry["reserved"], "{entry}");
    assert!(
        entry["settled"].as_i64().unwrap() >= LEAST_RESERVED,
        "{entry}"
    );
}
