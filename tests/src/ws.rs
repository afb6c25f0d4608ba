//! A client of `/ws` that fails a test rather than wait for ever.

use crate::client::PATIENCE;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A connection.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens a connection, with these headers.
    ///
    /// # Errors
    /// When the host refuses the handshake.
    pub async fn open(url: &str, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let mut request = format!("{}/ws", url.replacen("http", "ws", 1)).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        connect_async(request).await.map(|(socket, _)| Self(socket))
    }

    /// Opens a connection and signs in with the first message.
    pub async fn signed_in(url: &str, token: &str) -> Self {
        let mut socket = Self::open(url, &[]).await.unwrap();
        socket.send(&json!({"token": token})).await;
        socket
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &Value) {
        self.text(&message.to_string()).await;
    }

    /// Sends any text.
    pub async fn text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// Subscribes, and waits until the host says so.
    pub async fn subscribe(&mut self, to: Value, after: Option<u64>) -> Value {
        let mut message = json!({"subscribe": to});
        if let Some(after) = after {
            message["after"] = json!(after);
        }
        self.send(&message).await;
        self.next_of("subscribed").await
    }

    /// The next message; none when the host closed the connection.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next()).await;
            match message.expect("no message came")? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next message of this type; others are passed over.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            let message = message.unwrap_or_else(|| panic!("closed while waiting for `{kind}`"));
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Why the host closed the connection: what it said last, and the close frame.
    pub async fn closed(&mut self) -> String {
        let mut said = String::new();
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next()).await;
            match message.expect("the host did not close") {
                Some(Ok(Message::Text(text))) => said = text.to_string(),
                Some(Ok(Message::Close(Some(frame)))) => return format!("{said} {}", frame.reason),
                Some(Ok(Message::Close(None)) | Err(_)) | None => return said,
                Some(Ok(_)) => {}
            }
        }
    }
}
