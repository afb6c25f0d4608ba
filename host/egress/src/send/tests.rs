//! What leaves the host, and what does not: sending, with its secrets, its limits and its refusals.

use super::*;
use crate::secrets::SecretSettings;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that answers each connection with the next of `answers`, and keeps what it was sent.
struct Server {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn new(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = heard.clone();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = vec![0; 64 << 10];
                let read = stream.read(&mut bytes).await.unwrap();
                let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                ear.lock().unwrap().push(text);
                // Whoever asked may be gone.
                let _ = stream.write_all(answer.as_bytes()).await;
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
            }
        });
        Self { address, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn get(url: &str) -> Request {
    Request {
        method: "GET".to_owned(),
        target: Target::parse(url).unwrap(),
        headers: Vec::new(),
        body: None,
        timeout: None,
        idempotency_key: None,
    }
}

fn egress(allowed: &[&str], own: Vec<SocketAddr>, secrets: Secrets) -> Egress {
    let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    let settings = Settings {
        most_bytes: 1000,
        ..Settings::default()
    };
    Egress::new(settings, Guard::new(&allowed, own).unwrap(), secrets)
}

fn local() -> Egress {
    egress(&["127.0.0.0/8"], Vec::new(), Secrets::default())
}

/// `KEY`, which may be sent to `server`.
fn secret(server: &Server, value: &str) -> (Secrets, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), value).unwrap();
    let settings = SecretSettings {
        env: None,
        file: Some(file.path().to_owned()),
        hosts: vec![server.address.to_string()],
    };
    let secrets = Secrets::new(BTreeMap::from([("KEY".to_owned(), settings)])).unwrap();
    (secrets, file)
}

fn denied(answer: Result<Response, SendError>) -> String {
    match answer {
        Err(SendError::Denied { reason, .. }) => reason,
        other => panic!("not denied: {other:?}"),
    }
}

#[tokio::test]
async fn a_request_is_sent_as_it_was_asked_and_answered_as_it_came() {
    let server = Server::new(vec![
        "HTTP/1.1 404 Not Found\r\nX-One: a\r\nx-one: b\r\ncontent-length: 2\r\n\r\nno".to_owned(),
    ])
    .await;
    let request = Request {
        method: "PUT".to_owned(),
        target: Target::parse(&format!("{}a/../b?c=d", server.url())).unwrap(),
        headers: vec![("X-Two".to_owned(), "e".to_owned())],
        body: Some(b"body".to_vec()),
        idempotency_key: Some("k-1".to_owned()),
        ..get(&server.url())
    };
    let answer = local().send(request).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (404, &b"no"[..]));
    let ones: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "x-one")
        .collect();
    assert_eq!(ones.len(), 2);
    let heard = server.heard().remove(0);
    assert!(heard.starts_with("PUT /b?c=d HTTP/1.1\r\n"), "{heard}");
    for line in [
        "x-two: e",
        "content-length: 4",
        "idempotency-key: k-1",
        "connection: close",
        "user-agent: mandate",
    ] {
        assert!(
            heard.contains(&format!("\r\n{line}\r\n")),
            "{line}: {heard}"
        );
    }
    assert!(
        heard.contains(&format!("\r\nhost: {}\r\n", server.address)),
        "{heard}"
    );
    assert!(heard.ends_with("\r\n\r\nbody"), "{heard}");
}

#[tokio::test]
async fn nothing_is_sent_to_addresses_that_are_not_public() {
    let server = Server::new(vec![ok("")]).await;
    let port = server.address.port();
    let closed = egress(&[], Vec::new(), Secrets::default());
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "localhost",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "0.0.0.0",
    ] {
        let told = denied(closed.send(get(&format!("http://{host}:{port}/"))).await);
        assert!(told.contains("allow_private"), "{told}");
    }
    let own = egress(&["0.0.0.0/0"], vec![server.address], Secrets::default());
    assert!(denied(own.send(get(&server.url())).await).contains("this host itself"));
    let everywhere = SocketAddr::from(([0, 0, 0, 0], port));
    let own = egress(&["0.0.0.0/0"], vec![everywhere], Secrets::default());
    assert!(denied(own.send(get(&server.url())).await).contains("this host itself"));
    assert!(server.heard().is_empty());
}

/// Says another address each time it is asked, as a name does whose owner wants in.
struct Rebinding(Mutex<Vec<Vec<SocketAddr>>>);

#[async_trait::async_trait]
impl Resolver for Rebinding {
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(self.0.lock().unwrap().remove(0))
    }
}

#[tokio::test]
async fn a_name_is_resolved_once_and_what_was_looked_at_is_what_is_connected_to() {
    let server = Server::new(vec![ok("first")]).await;
    let private: SocketAddr = "10.0.0.1:80".parse().unwrap();
    let names = Rebinding(Mutex::new(vec![
        vec![private, server.address],
        vec![private],
        Vec::new(),
    ]));
    let guard = Guard::new(&["127.0.0.1".to_owned()], Vec::new()).unwrap();
    let egress = Egress::with_resolver(
        Settings::default(),
        guard,
        Secrets::default(),
        Arc::new(names),
    );
    let answer = egress.send(get("http://rebinding.example/")).await.unwrap();
    assert_eq!(answer.body, b"first", "the address that is allowed");
    assert!(denied(egress.send(get("http://rebinding.example/")).await).contains("10.0.0.1"));
    let nobody = egress
        .send(get("http://rebinding.example/"))
        .await
        .unwrap_err();
    assert!(matches!(nobody, SendError::Unavailable(_)), "{nobody}");
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let away =
        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    let server = Server::new(vec![away.to_owned(), ok("")]).await;
    let answer = local().send(get(&server.url())).await.unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn an_answer_is_taken_up_to_its_bound() {
    let chunked = |size: usize| {
        format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{size:x}\r\n{}\r\n0\r\n\r\n",
            "a".repeat(size)
        )
    };
    let headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
    let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(100 << 10));
    let server = Server::new(vec![
        ok(&"a".repeat(1000)),
        ok(&"a".repeat(1001)),
        chunked(1000),
        chunked(1001),
        headers,
        long,
    ])
    .await;
    let egress = local();
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(egress.send(get(&server.url())).await);
    }
    for fine in [0, 2] {
        assert_eq!(answers[fine].as_ref().unwrap().body.len(), 1000);
    }
    for long in [1, 3] {
        assert_eq!(answers[long], Err(SendError::TooLarge(1000)));
    }
    assert!(
        matches!(answers[4], Err(SendError::Interrupted(_))),
        "many headers"
    );
    assert!(answers[5].is_err(), "a long head");
}

#[tokio::test]
async fn time_that_is_up_says_whether_anything_was_sent() {
    let silent = Server::new(vec![String::new()]).await;
    let soon = Some(Duration::from_millis(100));
    let request = Request {
        timeout: soon,
        ..get(&silent.url())
    };
    let told = local().send(request).await.unwrap_err();
    assert!(matches!(told, SendError::Interrupted(_)), "{told}");
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let told = local()
        .send(get(&format!("http://{gone}/")))
        .await
        .unwrap_err();
    assert!(matches!(told, SendError::Unavailable(_)), "{told}");
}

#[tokio::test]
async fn a_body_is_signed_with_a_secret_that_stays() {
    let server = Server::new(vec![ok("")]).await;
    let (secrets, _file) = secret(&server, "s3cr3t-value-123");
    let signing = egress(&["127.0.0.1/32"], Vec::new(), secrets);
    let signed = "sha256={{hmac-sha256:KEY}}".to_owned();
    let request = Request {
        method: "POST".to_owned(),
        headers: vec![("x-signature".to_owned(), signed.clone())],
        body: Some(b"body".to_vec()),
        ..get(&server.url())
    };
    signing.send(request).await.unwrap();
    let heard = server.heard().remove(0);
    // Computed elsewhere.
    let line =
        "x-signature: sha256=0f5d18e613d918ba80b4022ac0a42fe6f348ee31ef312b7ff6a8cf8ee177cfc3";
    assert!(heard.contains(line), "{heard}");
    let elsewhere = Request {
        headers: vec![("x-signature".to_owned(), signed)],
        ..get("http://127.0.0.1:9/")
    };
    assert!(denied(signing.send(elsewhere).await).contains("may not be sent"));
}

#[tokio::test]
async fn a_secret_is_seen_by_its_host_alone() {
    let value = "s3cr3t-value-123";
    let echo = format!(
        "HTTP/1.1 200 OK\r\nx-echo: Bearer {value}\r\ncontent-length: {}\r\n\r\n{{\"you sent\":\"{value}\"}}",
        value.len() + 15
    );
    let server = Server::new(vec![echo]).await;
    let (secrets, _file) = secret(&server, value);
    let egress = egress(&["127.0.0.1"], Vec::new(), secrets);
    let bearer = vec![(
        "Authorization".to_owned(),
        "Bearer {{secret:KEY}}".to_owned(),
    )];
    let request = Request {
        headers: bearer.clone(),
        ..get(&server.url())
    };
    let answer = egress.send(request).await.unwrap();
    assert!(server.heard()[0].contains(&format!("authorization: Bearer {value}\r\n")));
    assert_eq!(answer.body, b"{\"you sent\":\"{{secret:KEY}}\"}");
    assert!(
        answer
            .headers
            .contains(&("x-echo".to_owned(), "Bearer {{secret:KEY}}".to_owned()))
    );
    let elsewhere = Request {
        headers: bearer,
        ..get("http://127.0.0.1:1/")
    };
    assert!(denied(egress.send(elsewhere).await).contains("may not be sent"));
}

#[tokio::test]
async fn an_answer_that_may_hide_a_secret_is_not_given() {
    let packed = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\n?";
    let server = Server::new(vec![packed.to_owned()]).await;
    let (secrets, _file) = secret(&server, "s3cr3t-value-123");
    let egress = egress(&["127.0.0.1"], Vec::new(), secrets);
    let bearer = ("authorization".to_owned(), "{{secret:KEY}}".to_owned());
    let request = |more: Option<(&str, &str)>| {
        let more = more.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let headers = std::iter::once(bearer.clone()).chain(more).collect();
        Request {
            headers,
            ..get(&server.url())
        }
    };
    for hiding in ["Accept-Encoding", "Range"] {
        let told = egress.send(request(Some((hiding, "x")))).await.unwrap_err();
        assert!(matches!(told, SendError::Invalid(_)), "{told}");
    }
    assert_eq!(egress.send(request(None)).await, Err(SendError::Opaque));
}

#[tokio::test]
async fn what_is_no_request_is_not_sent() {
    let server = Server::new(vec![ok("")]).await;
    let header = |name: &str, value: &str| Request {
        headers: vec![(name.to_owned(), value.to_owned())],
        ..get(&server.url())
    };
    let many = Request {
        headers: vec![("a".to_owned(), "b".to_owned()); 65],
        ..get(&server.url())
    };
    let method = Request {
        method: "GET / HTTP/1.1\r\nx".to_owned(),
        ..get(&server.url())
    };
    for wrong in [
        header("host", "other.example"),
        header("Content-Length", "7"),
        header("Transfer-Encoding", "chunked"),
        header("connection", "upgrade"),
        header("a b", "c"),
        header("a", "b\r\nc: d"),
        header("a", "{{secret:"),
        header("a", &"b".repeat(40 << 10)),
        many,
        method,
    ] {
        let told = local().send(wrong).await.unwrap_err();
        assert!(matches!(told, SendError::Invalid(_)), "{told}");
    }
    assert!(server.heard().is_empty());
}
