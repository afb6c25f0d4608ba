//! Strangers who connect and say little must not keep others out.
#![allow(clippy::unwrap_used)]

use mandate_tests::Host;
use mandate_tests::host::Options;
use mandate_tests::ws::Socket;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn half_a_request_is_cut_off_and_gives_its_place_to_others() {
    let host = Host::with(&Options {
        config: "[api]\nconnections = 1\nhead_seconds = 1\n".into(),
        ..Options::default()
    });
    let address = host.url.strip_prefix("http://").unwrap();
    let mut stranger = TcpStream::connect(address).await.unwrap();
    stranger.write_all(b"GET /health HTT").await.unwrap();
    // The only place is taken, and given back: this is answered although it came second.
    let health = host.nobody().unpooled().get("/health").await.ok();
    assert_eq!(health["status"], "ok");
    let mut rest = Vec::new();
    let cut_off = stranger.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(10), cut_off)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn sockets_that_do_not_sign_in_keep_nobody_out() {
    let host = Host::with(&Options {
        config: "[api]\nws_clients = 1\n".into(),
        ..Options::default()
    });
    let open = || Socket::open(&host.url, &[]);
    let mut first = open().await.unwrap();
    let mut strangers = futures::future::try_join_all((0..256).map(|_| open()))
        .await
        .unwrap();
    let reason = first.closed().await;
    assert!(reason.contains("have not said who they are"), "{reason}");
    // The one place for clients was never theirs.
    let admin = host.admin();
    let mut client = Socket::signed_in(&host.url, admin.token()).await;
    client.subscribe(serde_json::json!(["all"]), None).await;
    // It is taken now.
    let mut second = Socket::signed_in(&host.url, admin.token()).await;
    let reason = second.closed().await;
    assert!(reason.contains("ws_clients"), "{reason}");
    strangers.clear();
}
