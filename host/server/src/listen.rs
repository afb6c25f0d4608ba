//! Connections: how many there may be, how slowly a stranger may speak, and how they end when
//! the host does. `axum::serve` bounds neither, and both are asked for before any token is seen.

use crate::api::ApiSettings;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt;

/// How long answers that are under way have when everything is drained.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// How long to wait when the system has no more descriptors.
const NO_ROOM: Duration = Duration::from_millis(100);

/// Serves `router` until `closing` is true; then finishes the answers that are under way.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: &ApiSettings,
    closing: watch::Receiver<bool>,
) {
    let most = settings.connections.max(1);
    let head = Duration::from_secs(settings.head_seconds.max(1));
    let places = Arc::new(Semaphore::new(most as usize));
    let accepting = accept(listener, router, &places, head, closing.clone());
    tokio::select! {
        () = accepting => {}
        () = closed(closing) => {}
    }
    // Who only listens is cut off.
    let _ = tokio::time::timeout(LAST_ANSWERS, places.acquire_many(most)).await;
}

async fn accept(
    listener: TcpListener,
    router: Router,
    places: &Arc<Semaphore>,
    head: Duration,
    closing: watch::Receiver<bool>,
) {
    // The semaphore is never closed.
    while let Ok(place) = places.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (router, closing) = (router.clone(), closing.clone());
                tokio::spawn(connection(stream, peer, router, head, closing, place));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(NO_ROOM).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    head: Duration,
    closing: watch::Receiver<bool>,
    place: OwnedSemaphorePermit,
) {
    // Small answers are sent at once; a socket that cannot is used all the same.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = closed(closing) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        // Clients go away as they like.
        tracing::debug!(%peer, %error, "a connection broke off");
    }
    drop(place);
}

async fn closed(mut closing: watch::Receiver<bool>) {
    // A sender that is gone has nothing more to drain.
    let _ = closing.wait_for(|done| *done).await;
}
