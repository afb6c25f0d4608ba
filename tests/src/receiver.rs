//! A server of the outside world that keeps what it is sent, and may be out of order.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The path, with its query.
    pub path: String,
    /// The body.
    pub body: Vec<u8>,
    head: String,
}

impl Request {
    /// Reads one; none when whoever sends it is gone before the end.
    pub fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let (mut head, mut line) = (String::new(), String::new());
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            head.push_str(&line);
            line.clear();
        }
        let path = head.split(' ').nth(1)?.to_owned();
        let mut request = Self {
            path,
            head,
            ..Self::default()
        };
        let length = request.header("content-length").unwrap_or("0");
        request.body = vec![0; length.parse().ok()?];
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    /// The first header of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.head, String::from_utf8_lossy(&self.body))
    }
}

/// What the server does with what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Keeps it and answers 200.
    Takes,
    /// Answers 503.
    Refuses,
    /// Closes the connection without an answer.
    HangsUp,
}

struct State {
    mood: Mood,
    taken: Vec<Request>,
    turned_away: usize,
}

/// The server.
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// Starts it; it takes what it is sent.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            mood: Mood::Takes,
            taken: Vec::new(),
            turned_away: 0,
        }));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = shared.clone();
                std::thread::spawn(move || stream.map(|stream| serve(&stream, &shared)));
            }
        });
        Self { address, state }
    }

    /// `http://127.0.0.1:PORT/path`
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it does with what comes from now on.
    pub fn is(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// What it took, in order.
    pub fn taken(&self) -> Vec<Request> {
        self.state.lock().unwrap().taken.clone()
    }

    /// How often it was sent something that it did not take.
    pub fn turned_away(&self) -> usize {
        self.state.lock().unwrap().turned_away
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let Some(request) = Request::read(stream) else {
        return;
    };
    let mut state = state.lock().unwrap();
    let answer = match state.mood {
        Mood::Takes => {
            state.taken.push(request);
            "200 OK"
        }
        Mood::Refuses => "503 Service Unavailable",
        Mood::HangsUp => "",
    };
    if state.mood != Mood::Takes {
        state.turned_away += 1;
    }
    drop(state);
    if !answer.is_empty() {
        answer_with(stream, answer);
    }
}

/// Answers; whoever asked may be gone.
pub fn answer_with(mut stream: &TcpStream, status: &str) {
    let text = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok");
    let _ = stream.write_all(text.as_bytes());
}
