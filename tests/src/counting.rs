//! A server of the outside world that counts what is asked of it, and by which key.

use crate::receiver::{Request, answer_with};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// How often each path was asked for, by idempotency key.
type Counts = BTreeMap<String, BTreeMap<String, u32>>;

/// The server. Asked for a path with `?to=PLACE`, it sends whoever asks there.
pub struct Counting {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    counts: Mutex<Counts>,
    heard: Mutex<Vec<Request>>,
    gate: Gate,
}

/// Behind which answers are held back.
#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    changed: Condvar,
}

impl Counting {
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

    /// Holds all answers back from now on, or lets them go.
    pub fn hold(&self, back: bool) {
        *self.shared.gate.closed.lock().unwrap() = back;
        self.shared.gate.changed.notify_all();
    }

    /// `http://127.0.0.1:PORT/path`
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often `path` was asked for.
    pub fn asked(&self, path: &str) -> u32 {
        let counts = self.shared.counts.lock().unwrap();
        counts.get(path).map_or(0, |keys| keys.values().sum())
    }

    /// Under how many keys `path` was asked for.
    pub fn keys(&self, path: &str) -> usize {
        let counts = self.shared.counts.lock().unwrap();
        counts.get(path).map_or(0, BTreeMap::len)
    }

    /// All requests as they came, head and body.
    pub fn heard(&self) -> Vec<String> {
        let heard = self.shared.heard.lock().unwrap();
        heard.iter().map(Request::to_string).collect()
    }
}

/// Answers one request; whoever asked may be gone before the end.
fn serve(stream: &TcpStream, shared: &Shared) {
    let Some(request) = Request::read(stream) else {
        return;
    };
    let key = request.header("idempotency-key").unwrap_or_default();
    let mut counts = shared.counts.lock().unwrap();
    let keys = counts.entry(request.path.clone()).or_default();
    *keys.entry(key.to_owned()).or_default() += 1;
    drop(counts);
    let away = request.path.split_once("?to=");
    let away = away.map(|(_, place)| format!("302 Found\r\nlocation: {place}"));
    shared.heard.lock().unwrap().push(request);
    let gate = &shared.gate;
    let closed = gate.closed.lock().unwrap();
    drop(gate.changed.wait_while(closed, |closed| *closed).unwrap());
    answer_with(stream, away.as_deref().unwrap_or("200 OK"));
}
