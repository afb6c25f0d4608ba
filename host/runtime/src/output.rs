//! What guests write to standard output and error, in lines, bounded until the host takes them.

use crate::invocation::{End, limit};
use mandate_types::LimitName;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi_io::bytes::Bytes;

/// What one write may carry.
const WRITE_BYTES: usize = 64 << 10;

/// Which of its two streams a guest wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What was written and not yet handed to the host.
pub(crate) struct Output {
    lines: Vec<(Stream, Vec<u8>)>,
    /// The unfinished lines of both streams.
    open: [Vec<u8>; 2],
    pending: u64,
    limit: u64,
}

impl Output {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            lines: Vec::new(),
            open: [Vec::new(), Vec::new()],
            pending: 0,
            limit,
        }
    }

    /// The finished lines; at the `last` call, the unfinished ones too.
    pub(crate) fn take(&mut self, last: bool) -> Vec<(Stream, Vec<u8>)> {
        if last {
            self.close();
        }
        self.pending = self.open.iter().map(|open| open.len() as u64).sum();
        std::mem::take(&mut self.lines)
    }

    fn open(&mut self, stream: Stream) -> &mut Vec<u8> {
        let [stdout, stderr] = &mut self.open;
        match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        }
    }

    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), End> {
        self.pending = self.pending.saturating_add(bytes.len() as u64);
        if self.pending > self.limit {
            return Err(limit(LimitName::LogBytes, self.limit));
        }
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            self.open(stream).extend_from_slice(part);
            if parts.peek().is_some() {
                let line = std::mem::take(self.open(stream));
                self.lines.push((stream, line));
            }
        }
        Ok(())
    }

    fn close(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let line = std::mem::take(self.open(stream));
            if !line.is_empty() {
                self.lines.push((stream, line));
            }
        }
    }
}

/// One end of a guest's output.
pub(crate) struct Pipe {
    stream: Stream,
    output: Arc<Mutex<Output>>,
}

impl Pipe {
    pub(crate) fn new(stream: Stream, output: Arc<Mutex<Output>>) -> Self {
        Self { stream, output }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Pipe {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Pipe {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output
            .write(self.stream, &bytes)
            .map_err(|end| StreamError::Trap(end.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_nobody_took_is_bounded() {
        let mut output = Output::new(10);
        output.write(Stream::Stdout, b"12345678\n").unwrap();
        output.take(false);
        output.write(Stream::Stdout, b"12345678\n").unwrap();
        let end = output.write(Stream::Stderr, b"12").unwrap_err();
        assert_eq!(end, limit(LimitName::LogBytes, 10));
    }

    #[test]
    fn an_unfinished_line_counts_until_it_is_taken() {
        let mut output = Output::new(10);
        output.write(Stream::Stdout, b"12345678").unwrap();
        assert!(output.take(false).is_empty());
        assert!(output.write(Stream::Stdout, b"901").is_err());
    }
}
