//! A client for one kept connection that costs next to nothing: it shares the processors with the
//! host it measures.

use anyhow::{Context, bail};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// A connection that sends one request after the other.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(16 << 10),
        })
    }

    /// Sends `request` and reads the status, leaving the body in `into`.
    ///
    /// # Errors
    /// When the connection breaks or the answer has no length.
    pub async fn send_into(&mut self, request: &[u8], into: &mut Vec<u8>) -> anyhow::Result<u16> {
        self.stream.write_all(request).await?;
        let (status, head, length) = loop {
            if let Some(head) = find(&self.buffer, b"\r\n\r\n") {
                let text = std::str::from_utf8(self.buffer.get(..head).unwrap_or_default())?;
                let (status, length) = parse(text)?;
                break (status, head + 4, length);
            }
            self.more().await?;
        };
        while self.buffer.len() < head + length {
            self.more().await?;
        }
        into.clear();
        into.extend_from_slice(self.buffer.get(head..head + length).unwrap_or_default());
        self.buffer.drain(..head + length);
        Ok(status)
    }

    /// Sends `request` and reads the answer.
    ///
    /// # Errors
    /// As [`Self::send_into`].
    pub async fn send(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        let mut body = Vec::new();
        let status = self.send_into(request, &mut body).await?;
        Ok(Answer { status, body })
    }

    /// Sends a request to become something else, and gives the connection away, with what came
    /// after the answer's head.
    ///
    /// # Errors
    /// When the server does not switch.
    pub async fn upgrade(mut self, request: &[u8]) -> anyhow::Result<(TcpStream, Vec<u8>)> {
        self.stream.write_all(request).await?;
        let head = loop {
            if let Some(head) = find(&self.buffer, b"\r\n\r\n") {
                break head;
            }
            self.more().await?;
        };
        let text = String::from_utf8_lossy(self.buffer.get(..head).unwrap_or_default());
        if !text.starts_with("HTTP/1.1 101") {
            bail!("the server did not switch protocols: {text}");
        }
        self.buffer.drain(..head + 4);
        Ok((self.stream, self.buffer))
    }

    async fn more(&mut self) -> anyhow::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }
}

/// The bytes of a request with a token; a body makes it JSON.
pub fn request(method: &str, path: &str, token: &str, more: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n{more}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn parse(head: &str) -> anyhow::Result<(u16, usize)> {
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    Ok((
        status.context("the answer has no status")?,
        length.context("the answer has no content-length")?,
    ))
}
