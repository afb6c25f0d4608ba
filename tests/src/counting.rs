//! A server of the outside world that counts what is asked of it, and by which key.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
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
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        head.push_str(&line);
        line.clear();
    }
    let field = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let length = field("content-length").map_or(0, |length| length.parse().unwrap_or(0));
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let key = field("idempotency-key").unwrap_or_default();
    *counts
        .lock()
        .unwrap()
        .entry(path)
        .or_default()
        .entry(key)
        .or_default() += 1;
    let closed = gate.closed.lock().unwrap();
    drop(gate.changed.wait_while(closed, |closed| *closed).unwrap());
    let mut out = stream;
    let _ = out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
}
