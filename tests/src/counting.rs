//! A server of the outside world that counts what is asked of it, and by which key.

use crate::receiver::{Request, answer_with};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// How often each path was asked for, by idempotency key.
type Counts = BTreeMap<String, BTreeMap<String, u32>>;

/// The server.
pub struct Counting {
    /// Where it listens.
    pub address: SocketAddr,
    counts: Arc<Mutex<Counts>>,
    gate: Arc<Gate>,
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
        let counts = Arc::<Mutex<Counts>>::default();
        let gate = Arc::<Gate>::default();
        let (shared, held) = (counts.clone(), gate.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, held) = (shared.clone(), held.clone());
                std::thread::spawn(move || stream.map(|stream| serve(&stream, &shared, &held)));
            }
        });
        Self {
            address,
            counts,
            gate,
        }
    }

    /// Holds all answers back from now on, or lets them go.
    pub fn hold(&self, back: bool) {
        *self.gate.closed.lock().unwrap() = back;
        self.gate.changed.notify_all();
    }

    /// `http://127.0.0.1:PORT/path`
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How often `path` was asked for.
    pub fn asked(&self, path: &str) -> u32 {
        let counts = self.counts.lock().unwrap();
        counts.get(path).map_or(0, |keys| keys.values().sum())
    }

    /// Under how many keys `path` was asked for.
    pub fn keys(&self, path: &str) -> usize {
        let counts = self.counts.lock().unwrap();
        counts.get(path).map_or(0, BTreeMap::len)
    }
}

/// Answers one request; whoever asked may be gone before the end.
fn serve(stream: &TcpStream, counts: &Mutex<Counts>, gate: &Gate) {
    let Some(request) = Request::read(stream) else {
        return;
    };
    let key = request.header("idempotency-key").unwrap_or_default();
    *counts
        .lock()
        .unwrap()
        .entry(request.path.clone())
        .or_default()
        .entry(key.to_owned())
        .or_default() += 1;
    let closed = gate.closed.lock().unwrap();
    drop(gate.changed.wait_while(closed, |closed| *closed).unwrap());
    answer_with(stream, "200 OK");
}
