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

/// Bodies that are announced and do not come take the room for telemetry; whoever comes then is told when to try again,
/// as exporters want it, and finds room once the others are gone.
#[tokio::test]
async fn telemetry_that_finds_no_room_is_told_when_to_come_again() {
    let host = Host::with(&Options {
        config: "[telemetry]\nbody_limit = 1024\ninflated_limit = 1024\nwork_limit = 2048\n".into(),
        ..Options::default()
    });
    let admin = host.admin();
    let address = host.url.strip_prefix("http://").unwrap();
    let head = format!(
        "POST /v1/metrics HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-protobuf\r\nContent-Length: 1024\r\n\r\n",
        admin.token()
    );
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        held.push(stream);
    }
    let nothing = serde_json::json!({"resourceMetrics": []});
    let send = || async { Some(admin.post("/v1/metrics", &nothing).await) };
    // Whether both are there already is not known; they are soon.
    let busy = admin
        .until(|| async { send().await.filter(|answer| answer.status != 200) })
        .await;
    assert_eq!((busy.status, busy.header("retry-after")), (503, "1"));
    assert_eq!(busy.json()["code"], 14, "UNAVAILABLE of google.rpc.Status");
    drop(held);
    admin
        .until(|| async { send().await.filter(|answer| answer.status == 200) })
        .await;
}
