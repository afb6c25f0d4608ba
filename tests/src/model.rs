//! A provider of models that says its answer when tests let it: each request hears the same, from
//! the beginning, as far as it is told so far.

use crate::host::Options;
use crate::receiver::Request;
use serde_json::json;
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
    asked: usize,
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
        let piece = json!({"choices": [{"delta": {"content": text}}]});
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
        self.shared.told.lock().unwrap().asked
    }

    /// How many of those who asked went before the end.
    pub fn gone(&self) -> usize {
        self.shared.told.lock().unwrap().gone
    }
}

fn serve(mut stream: &TcpStream, shared: &Shared) {
    if Request::read(stream).is_none() {
        return;
    }
    shared.told.lock().unwrap().asked += 1;
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
