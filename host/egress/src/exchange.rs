//! One request and its answer over a connection, within bounds.

use crate::connect::Stream;
use crate::send::{Response, SendError};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HeaderName, HeaderValue};
use hyper_util::rt::TokioIo;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;

/// The longest head of an answer, and the most headers in it.
const MOST_HEAD: usize = 64 << 10;
const MOST_HEADERS: usize = 100;

/// Sends `request` and reads the whole answer, at most `most` bytes of body. `sent` is set before
/// the first byte leaves.
pub async fn exchange(
    stream: Pin<Box<dyn Stream>>,
    request: hyper::Request<Full<Bytes>>,
    most: u64,
    sent: &AtomicBool,
) -> Result<Response, SendError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MOST_HEAD)
        .max_headers(MOST_HEADERS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| SendError::Unavailable(error.to_string()))?;
    // Moves the bytes, and ends with this set.
    let mut moving = JoinSet::new();
    moving.spawn(connection);
    sent.store(true, Ordering::Relaxed);
    let broke_off = |error: hyper::Error| SendError::Interrupted(told(&error));
    let answer = sender.send_request(request).await.map_err(broke_off)?;
    let (head, body) = answer.into_parts();
    let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    if head.headers.iter().map(size).sum::<usize>() > MOST_HEAD {
        return Err(SendError::TooLarge(MOST_HEAD as u64));
    }
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect();
    Ok(Response {
        status: head.status.as_u16(),
        headers,
        body: read(body, most).await?,
    })
}

async fn read(mut body: Incoming, most: u64) -> Result<Vec<u8>, SendError> {
    let announced = body.size_hint();
    if announced.lower() > most {
        return Err(SendError::TooLarge(most));
    }
    let mut bytes = Vec::with_capacity(announced.lower() as usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| SendError::Interrupted(told(&error)))?;
        // What follows a body is not told.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if (bytes.len() + data.len()) as u64 > most {
            return Err(SendError::TooLarge(most));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// What happened, with what caused it.
fn told(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
