//! Events to many clients at once, while tasks make them.

use crate::guests;
use crate::host::{Host, on_one_thread};
use crate::report::{Measure, Unit};
use crate::tasks::submit_for;
use anyhow::{Context, bail, ensure};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const LISTENERS: usize = 100;
/// Clients that submit: few, so that delivering is what is measured.
const CLIENTS: usize = 8;
const MEASURED: Duration = Duration::from_secs(5);

/// Events per second, over all clients, until each client has every event.
///
/// # Errors
/// When a client misses an event.
pub fn run() -> anyhow::Result<Measure> {
    let dir = tempfile::tempdir()?;
    let agent = guests::build("brief", dir.path())?;
    on_one_thread(async {
        let host = Host::start(&dir, None).await?;
        host.install(&agent)?;
        let (last, until) = tokio::sync::watch::channel(None);
        let mut listeners = Vec::new();
        for _ in 0..LISTENERS {
            let listener = Listener::open(&host).await?;
            listeners.push(tokio::spawn(listener.count(until.clone())));
        }
        let began = Instant::now();
        submit_for(&host, "bench-brief", CLIENTS, MEASURED).await?;
        last.send_replace(Some(last_event(&host).await?));
        let (mut delivered, mut ended) = (0, began);
        for listener in listeners {
            let (count, at) = listener.await??;
            delivered += count;
            ended = ended.max(at);
        }
        let value = delivered as f64 / ended.duration_since(began).as_secs_f64();
        Ok(Measure {
            unit: Unit::PerSecond,
            value,
            floor: None,
        })
    })
}

async fn last_event(host: &Host) -> anyhow::Result<u64> {
    let mut connection = host.connect().await?;
    let mut after = 0;
    loop {
        let path = format!("/api/v1/events?limit=1000&after={after}");
        let question = host.request("GET", &path, "", "");
        let answer = connection.send(&question).await?;
        let page: Value = serde_json::from_slice(&answer.body)?;
        let next = page
            .get("after")
            .and_then(Value::as_u64)
            .context("no page of events")?;
        if next == after {
            return Ok(after);
        }
        after = next;
    }
}

/// A WebSocket client that does next to nothing: a hundred of them share a processor with the host.
pub struct Listener {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Listener {
    /// Connects and subscribes to everything from now on.
    ///
    /// # Errors
    /// When the host does not let it in.
    pub async fn open(host: &Host) -> anyhow::Result<Self> {
        let upgrade = format!(
            "GET /ws HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            host.token
        );
        let (stream, buffer) = host.connect().await?.upgrade(upgrade.as_bytes()).await?;
        let mut listener = Self { stream, buffer };
        let text = br#"{"subscribe":["all"]}"#;
        // A text frame, masked with zeros as clients must mask.
        let mut frame = vec![0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
        frame.extend_from_slice(text);
        listener.stream.write_all(&frame).await?;
        loop {
            let message = listener.next().await?;
            if message.starts_with(br#"{"type":"subscribed""#) || find(&message, b"\"subscribed\"")
            {
                return Ok(listener);
            }
        }
    }

    /// Waits until the task has ended.
    ///
    /// # Errors
    /// When it does not succeed.
    pub async fn succeeded(&mut self, task: &str) -> anyhow::Result<()> {
        loop {
            let message = self.next().await?;
            if !find(&message, task.as_bytes()) {
                continue;
            }
            ensure!(
                !find(&message, b"\"kind\":\"task_failed\""),
                "the task failed: {}",
                String::from_utf8_lossy(&message)
            );
            if find(&message, b"\"kind\":\"task_completed\"") {
                return Ok(());
            }
        }
    }

    /// Counts events until the last that there is; how many, and when the last came.
    async fn count(
        mut self,
        mut until: tokio::sync::watch::Receiver<Option<u64>>,
    ) -> anyhow::Result<(u64, Instant)> {
        let (mut count, mut seq, mut at) = (0, None, Instant::now());
        loop {
            if let (Some(seq), Some(last)) = (seq, *until.borrow())
                && seq >= last
            {
                return Ok((count, at));
            }
            let message = tokio::select! {
                message = self.next() => message?,
                changed = until.changed() => {
                    changed?;
                    continue;
                }
            };
            let Some(rest) = message.strip_prefix(br#"{"type":"event","seq":"#) else {
                ensure!(
                    !find(&message, b"\"lagged\""),
                    "a client lagged: the host did not deliver"
                );
                continue;
            };
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
            let this = digits.fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
            if let Some(before) = seq {
                ensure!(this == before + 1, "event {this} came after event {before}");
            }
            (count, seq, at) = (count + 1, Some(this), Instant::now());
        }
    }

    /// The payload of the next frame. Safe to drop half-way: what was read stays.
    async fn next(&mut self) -> anyhow::Result<Vec<u8>> {
        loop {
            if let Some((start, end)) = frame(&self.buffer)? {
                let payload = self.buffer.get(start..end).unwrap_or_default().to_vec();
                self.buffer.drain(..end);
                return Ok(payload);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the host closed the connection");
            }
        }
    }
}

/// Where the payload of the first frame of `bytes` begins and ends, once it is whole.
fn frame(bytes: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let &[head, length, ref rest @ ..] = bytes else {
        return Ok(None);
    };
    ensure!(
        head & 0x0f != 8,
        "the host ended the connection: {}",
        String::from_utf8_lossy(rest)
    );
    let (start, length) = match (length, rest) {
        (126, &[a, b, ..]) => (4, usize::from(u16::from_be_bytes([a, b]))),
        (127, &[a, b, c, d, e, f, g, h, ..]) => (
            10,
            usize::try_from(u64::from_be_bytes([a, b, c, d, e, f, g, h]))?,
        ),
        (126 | 127, _) => return Ok(None),
        (length, _) => (2, usize::from(length)),
    };
    Ok((bytes.len() >= start + length).then_some((start, start + length)))
}

fn find(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}
