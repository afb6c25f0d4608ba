//! Every fault against a provider that is well: who answered, who was asked how often, what was
//! billed and what the plugin saw. The table is `docs/faults.md`; `UPDATE=1` writes it anew.

use super::*;
use futures_util::future::join_all;
use mandate_llm::LlmError;
use std::fmt::Write as _;

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const HINDI: &str = "हाँ";

/// Where the faulty provider is.
enum Place {
    /// Behind a server that does this.
    Does(Does),
    /// Nowhere: the connection is refused.
    Closed,
    /// At a server that speaks no TLS, asked for TLS.
    NoTls,
    /// At a server that takes the connection and never answers the handshake.
    SlowTls,
}

struct Case {
    what: &'static str,
    place: Place,
    streams: bool,
}

fn chunk(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
}

fn forty() -> String {
    HEAD.to_owned() + &chunk("so ").repeat(40)
}

const LAST: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":9}}\n\ndata: [DONE]\n\n";

fn whole(what: &'static str, does: Does) -> Case {
    Case {
        what,
        place: Place::Does(does),
        streams: false,
    }
}

fn stream(what: &'static str, does: Does) -> Case {
    Case {
        streams: true,
        ..whole(what, does)
    }
}

fn at(what: &'static str, place: Place) -> Case {
    Case {
        what,
        place,
        streams: false,
    }
}

fn cases() -> Vec<Case> {
    let says = |status, headers: &str, body: &str| Does::Sends(response(status, headers, body));
    let json = |status, body: &str| says(status, "", body);
    let wrong = r#"{"error":{"message":"messages: roles must alternate"}}"#;
    let spent = r#"{"error":{"message":"x","code":"insufficient_quota"}}"#;
    let delay = r#"{"error":{"message":"x","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"46s"}]}}"#;
    let call = r#"{"choices":[{"message":{"tool_calls":[{"id":"1","function":{"name":"a","arguments":"{\"x\":"}}]}}],"usage":{"prompt_tokens":5,"completion_tokens":9}}"#;
    let unused = r#"{"choices":[{"message":{"content":"yes"},"finish_reason":"stop"}]}"#;
    let nothing = r#"{"choices":[{"message":{"content":"yes"},"finish_reason":"stop"}],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#;
    let too_much = r#"{"choices":[{"message":{"content":"yes"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":900000}}"#;
    let empty = r#"{"choices":[{"message":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":0}}"#;
    let mut half = response(200, "", YES);
    half.truncate(half.len() - 30);
    let other = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\n<ok>";
    let events = |text: String| Does::Sends(text.into_bytes());
    let heads = |text: &str| events(format!("{HEAD}{text}"));
    // A letter of three bytes, cut after the first, and one whose rest is another letter's.
    let hindi = chunk(HINDI).into_bytes();
    let cut = hindi.iter().position(|byte| *byte >= 0x80).unwrap() + 1;
    let split = vec![
        HEAD.as_bytes().to_vec(),
        hindi[..cut].to_vec(),
        hindi[cut..].to_vec(),
        LAST.as_bytes().to_vec(),
    ];
    let mut bad = split.clone();
    bad[2][0] = b'x';
    let broken_call = concat!(
        r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"1","function":{"name":"a","arguments":"{\"x\""}}]}}]}"#,
        "\n\n",
        r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":":"}}]},"finish_reason":"tool_calls"}]}"#,
        "\n\n",
        r#"data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":9}}"#,
        "\n\ndata: [DONE]\n\n",
    );
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\n",
        chunk("so ").len(),
        chunk("so ")
    );
    vec![
        at("connection refused", Place::Closed),
        at("TLS failure", Place::NoTls),
        at("slow connect: the TLS handshake never ends", Place::SlowTls),
        whole("400, 422: the request is wrong", json(422, wrong)),
        whole("401", json(401, "{}")),
        whole("402", json(402, "{}")),
        whole("403", json(403, "{}")),
        whole("404: no such model", json(404, "{}")),
        whole("408", json(408, "{}")),
        whole("413", json(413, "{}")),
        whole("429 without a word of when", json(429, "{}")),
        whole("429, retry-after: 0", says(429, "retry-after: 0\r\n", "{}")),
        whole(
            "429, retry-after: 1.5",
            says(429, "retry-after: 1.5\r\n", "{}"),
        ),
        whole(
            "429, retry-after: 60",
            says(429, "retry-after: 60\r\n", "{}"),
        ),
        whole(
            "429, retry-after: a date that is past",
            says(429, "retry-after: Wed, 21 Oct 2015 07:28:00 GMT\r\n", "{}"),
        ),
        whole(
            "429, retry-after: a date to come",
            says(429, "retry-after: Wed, 21 Oct 2099 07:28:00 GMT\r\n", "{}"),
        ),
        whole(
            "429, retry-after-ms: 5",
            says(429, "retry-after-ms: 5\r\n", "{}"),
        ),
        whole(
            "429, x-ratelimit-reset-requests: 6m0s, none left",
            says(
                429,
                "x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 6m0s\r\n",
                "{}",
            ),
        ),
        whole("429, retryDelay in the body", json(429, delay)),
        whole("429: spend limit", json(429, spent)),
        whole("500", json(500, "oops")),
        whole("502", json(502, "<html>")),
        whole("503", json(503, "{}")),
        whole("529", json(529, "{}")),
        whole("a stall before the answer", Does::Stalls(vec![])),
        whole("a stall in the answer", Does::Stalls(half.clone())),
        whole("a cut in the answer", Does::Sends(half)),
        whole("closed without an answer", Does::Sends(vec![])),
        whole("no JSON", json(200, "{\"choices\": [")),
        whole("a wrong content type", Does::Sends(other.to_vec())),
        whole("10 MB", json(200, &" ".repeat(10 << 20))),
        whole("an empty answer", json(200, empty)),
        whole("a tool call with broken JSON", json(200, call)),
        whole("usage missing", json(200, unused)),
        whole("usage of nothing", json(200, nothing)),
        whole("usage of more than there can be", json(200, too_much)),
        stream("429 without a word of when", json(429, "{}")),
        stream("a stall before the first token", Does::Stalls(HEAD.into())),
        stream(
            "only keep-alives before the first token",
            Does::Waits(HEAD.into()),
        ),
        stream("a cut before the first token", heads("")),
        stream("a stall after 40 tokens", Does::Stalls(forty().into())),
        stream("a cut after 40 tokens", events(forty())),
        stream("a cut within a chunk of HTTP", events(chunked)),
        stream(
            "a malformed chunk first",
            heads("data: {\"choices\": [\n\n"),
        ),
        stream(
            "a malformed chunk after 40 tokens",
            events(forty() + "data: {\"choices\": [\n\n"),
        ),
        stream(
            "an error within the stream, first",
            heads("data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n"),
        ),
        stream("UTF-8 split across chunks", Does::Pieces(split)),
        stream("invalid UTF-8 split across chunks", Does::Pieces(bad)),
        stream("an empty answer", heads(LAST)),
        stream("a wrong content type", Does::Sends(other.to_vec())),
        stream(
            "10 MB in one event",
            heads(&format!("data: {}\n\n", " ".repeat(10 << 20))),
        ),
        stream("a tool call with broken JSON", heads(broken_call)),
        stream(
            "usage missing",
            heads(
                &(chunk("yes")
                    + "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"),
            ),
        ),
        stream("answered as a whole", json(200, YES)),
    ]
}

async fn slow_tls() -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/v1", listener.local_addr().unwrap());
    let held = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    (url, held)
}

/// One line of the table.
async fn run(case: Case) -> String {
    let good = Server::yes().await;
    let mut bad = None;
    let url = match case.place {
        Place::Does(does) => {
            let server = bad.insert(Server::that(does).await);
            server.url.clone()
        }
        Place::Closed => {
            let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
            format!("http://{}/v1", closed.local_addr().unwrap())
        }
        Place::NoTls => {
            let server = bad.insert(Server::yes().await);
            server.url.replace("http://", "https://")
        }
        Place::SlowTls => slow_tls().await.0,
    };
    let providers = vec![provider("bad", &url), provider("good", &good.url)];
    let chain = Chain::new(providers, Settings::default());
    let mut heard = String::new();
    let asked = if case.streams {
        let mut hear = |piece: &str| heard.push_str(piece);
        chain.stream(&request(), &CALLER, &mut hear).await
    } else {
        chain.complete(&request(), &CALLER).await
    };
    let (who, cost, saw) = match &asked {
        Ok(answer) => {
            assert!(
                !case.streams || heard == answer.message.text,
                "{}",
                case.what
            );
            (
                answer.provider.as_str(),
                answer.cost,
                format!("`{}`", answer.message.text),
            )
        }
        Err(error) => {
            let saw = match error {
                LlmError::Invalid { .. } => "invalid",
                LlmError::Unavailable { .. } => "unavailable",
                LlmError::Interrupted { .. } => "interrupted",
            };
            let tokens = heard.split_whitespace().count();
            let after = if tokens > 0 {
                format!(", after {tokens} tokens")
            } else {
                String::new()
            };
            ("nobody", error.cost(), format!("`{saw}`{after}"))
        }
    };
    let of_good = if who == "good" { PAID } else { 0 };
    let outcome = match &asked {
        Ok(answer) => {
            let bad = answer.attempts.iter().find(|a| a.provider == "bad");
            bad.map_or("answered", |a| a.outcome.as_str()).to_owned()
        }
        Err(_) => "–".to_owned(),
    };
    let times = bad.map_or(0, |bad| bad.asked.load(Ordering::Relaxed));
    let of_bad = cost.0 - of_good;
    let sure = match &asked {
        Ok(answer) if answer.is_uncertain() => ", uncertain",
        Err(_) if of_bad > 0 => ", uncertain",
        _ => "",
    };
    format!(
        "| {} | {} | {outcome} | {times} | {} | {who} | {of_bad}{sure} | {saw} |\n",
        case.what,
        if case.streams { "stream" } else { "whole" },
        good.asked.load(Ordering::Relaxed),
    )
}

#[tokio::test]
async fn the_table_of_faults_is_true() {
    let rows = join_all(cases().into_iter().map(run)).await;
    let mut table = String::from(include_str!("head.md"));
    for row in rows {
        let _ = write!(table, "{row}");
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/faults.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, &table).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap();
    for (kept, now) in kept.lines().zip(table.lines()) {
        assert_eq!(kept, now, "UPDATE=1 writes docs/faults.md anew");
    }
    assert_eq!(kept.lines().count(), table.lines().count());
}
