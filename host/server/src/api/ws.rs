//! `/ws`: events as they happen. A client that comes back with the number of the last event it
//! saw misses nothing and sees nothing twice.

mod client;

use super::Api;
use super::auth::{Caller, TokenKey, bearer, peer, token_key};
use super::doorstep::Stranger;
use super::error::{ApiError, ApiResult};
use super::input;
use super::topic::Said;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::response::Response;
use client::{Client, Out};
use futures::stream::SplitStream;
use futures::{SinkExt as _, StreamExt as _};
use mandate_store::StoreError;
use mandate_types::Problem;
use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// How long a client has to say who it is.
const SIGN_IN: Duration = Duration::from_secs(5);
/// How long the last words of a connection may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// The most bytes of a client's message.
const LARGEST: usize = 64 << 10;

/// Opens a WebSocket.
pub async fn connect(
    State(api): State<Api>,
    parts: Parts,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> ApiResult<Response> {
    let upgrade = upgrade.map_err(|rejection| {
        Problem::new(
            426,
            "websocket",
            "This is a WebSocket",
            format!("open it as a WebSocket: {}", rejection.body_text()),
        )
    })?;
    check_origin(&parts.headers, &api.settings.cors_origins)?;
    let peer = peer(&parts);
    // Programs may sign in at once; browsers cannot send the header, and use the first message.
    let entered = if parts.headers.contains_key(AUTHORIZATION) {
        let key = token_key(bearer(&parts.headers)?);
        let caller = api.door.enter(&key, peer).await?;
        let place = api.hub.place()?;
        Entered::SignedIn(SignedIn {
            key,
            caller,
            place,
            first: None,
        })
    } else {
        Entered::Stranger(api.hub.stranger())
    };
    Ok(upgrade
        .max_message_size(LARGEST)
        .max_frame_size(LARGEST)
        .on_upgrade(move |socket| serve(api, socket, entered, peer)))
}

/// Pages of other origins may not use a browser's access to the host.
fn check_origin(headers: &HeaderMap, allowed: &[String]) -> Result<(), Problem> {
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or("?");
    let own = origin.split_once("://").map(|(_, host)| host);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let same = own.is_some() && own == host;
    if same
        || allowed
            .iter()
            .any(|one| one.trim_end_matches('/') == origin)
    {
        return Ok(());
    }
    let origin: String = origin.chars().take(200).collect();
    Err(Problem::forbidden(format!(
        "pages of `{origin}` may not open this; an operator can name the origin in `cors_origins`"
    )))
}

/// Why a connection ends.
enum End {
    /// The client is gone, or does not take what it is sent.
    Gone,
    /// The host ends it, for this reason.
    Closed(u16, &'static str),
}

const STOPPING: End = End::Closed(
    close_code::AWAY,
    "the host is stopping; come back with `after`",
);

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "events cannot be read for a client");
        Self::Closed(close_code::AGAIN, "the database does not answer; try again")
    }
}

/// Who opened it.
enum Entered {
    SignedIn(SignedIn),
    Stranger(Stranger),
}

/// Who has signed in, and what else they said with it.
struct SignedIn {
    key: TokenKey,
    caller: Caller,
    place: OwnedSemaphorePermit,
    first: Option<Said>,
}

async fn serve(api: Api, socket: WebSocket, entered: Entered, peer: Option<IpAddr>) {
    let (sink, mut stream) = socket.split();
    let mut out = Out { sink };
    let signed_in = match entered {
        Entered::SignedIn(signed_in) => Ok(signed_in),
        Entered::Stranger(stranger) => sign_in(&api, &mut stream, &mut out, stranger, peer).await,
    };
    let end = match signed_in {
        Ok(SignedIn {
            key,
            caller,
            place: _place,
            first,
        }) => {
            let mut client = Client::new(api, key, caller, out);
            let end = client.run(first, &mut stream).await;
            out = client.into_out();
            end
        }
        Err(end) => end,
    };
    // It ends either way: what cannot be sent any more does not matter.
    if let End::Closed(code, reason) = end {
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::from_static(reason),
        };
        let _ = out.send([Message::Close(Some(frame))]).await;
    }
    // Also answers the client's own farewell.
    let _ = tokio::time::timeout(FAREWELL, out.sink.close()).await;
}

async fn sign_in(
    api: &Api,
    stream: &mut SplitStream<WebSocket>,
    out: &mut Out,
    mut stranger: Stranger,
    peer: Option<IpAddr>,
) -> Result<SignedIn, End> {
    const WANTED: &str = "say who you are first: {\"token\": \"…\"}";
    let first = async {
        loop {
            match stream.next().await {
                Some(Ok(Message::Text(text))) => return Some(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
    };
    let first = tokio::select! {
        first = tokio::time::timeout(SIGN_IN, first) => first,
        () = stranger.sent_away() => {
            let reason = "too many clients have not said who they are; try again";
            return Err(End::Closed(close_code::AGAIN, reason));
        }
    };
    let first = match first {
        Ok(Some(text)) => text,
        Ok(None) => return Err(End::Gone),
        Err(_) => return Err(End::Closed(close_code::POLICY, WANTED)),
    };
    let said = match input::parse::<Said>(first.as_str().as_bytes()) {
        Ok(said) => said,
        Err(problem) => {
            out.send([problem_text(&problem.into())]).await?;
            return Err(End::Closed(close_code::POLICY, WANTED));
        }
    };
    let Some(token) = said.token else {
        return Err(End::Closed(close_code::POLICY, WANTED));
    };
    let key = token_key(&token);
    match api.door.enter(&key, peer).await {
        Ok(caller) => {
            let place = match api.hub.place() {
                Ok(place) => place,
                Err(problem) => {
                    out.send([problem_text(&problem.into())]).await?;
                    return Err(End::Closed(close_code::AGAIN, "all places are taken"));
                }
            };
            let text = json!({"type": "signed_in", "name": caller.name, "role": caller.role});
            out.send([Message::text(text.to_string())]).await?;
            // The subscription may come with the token, which saves a round trip.
            let first = (said.subscribe.is_some() || said.after.is_some()).then_some(Said {
                token: None,
                ..said
            });
            Ok(SignedIn {
                key,
                caller,
                place,
                first,
            })
        }
        Err(error) => {
            out.send([problem_text(&error)]).await?;
            Err(End::Closed(
                close_code::POLICY,
                "the token is not one of this host",
            ))
        }
    }
}

fn problem_text(error: &ApiError) -> Message {
    Message::text(json!({"type": "error", "problem": error.problem}).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(origin: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost:7300"));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        headers
    }

    #[test]
    fn only_known_origins_may_connect() {
        let allowed = vec!["https://console.example.org/".to_owned()];
        assert!(check_origin(&headers(None), &[]).is_ok());
        assert!(check_origin(&headers(Some("http://localhost:7300")), &[]).is_ok());
        assert!(check_origin(&headers(Some("https://console.example.org")), &allowed).is_ok());
        for bad in [
            "http://localhost:7301",
            "https://evil.example",
            "null",
            "localhost:7300",
        ] {
            assert_eq!(
                check_origin(&headers(Some(bad)), &allowed)
                    .unwrap_err()
                    .status,
                403,
                "{bad}"
            );
        }
    }
}
