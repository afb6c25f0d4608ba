//! Models that refuse a conversation with their calls in it and without what they thought: a guest
//! that knows nothing of that goes on with them, also over a crash.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use mandate_tests::{Host, Options};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So often it calls a tool before it answers.
const CALLS: usize = 2;

/// A model that thinks, signs its calls, and wants to hear both again. It costs something: what is
/// free may be asked again after a crash.
#[derive(Default)]
struct Thinker {
    asked: AtomicUsize,
    refused: AtomicUsize,
}

/// What it thought when it said its message `n`, and how it signed that.
fn beside(n: usize) -> (Value, Value) {
    let signature = json!({"google": {"thought_signature": format!("signature {n}")}});
    (json!(format!("thought {n}")), signature)
}

/// The first time that all calls are made it says nothing: then the host is killed.
async fn think(
    State(thinker): State<Arc<Thinker>>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    if body.get("tools").is_none() {
        // A plan for the search, which another may make.
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({})));
    }
    let asked = thinker.asked.fetch_add(1, Ordering::SeqCst);
    let messages = body["messages"].as_array().unwrap().iter();
    let said: Vec<&Value> = messages.filter(|m| m["role"] == "assistant").collect();
    let is_own = said.iter().enumerate().all(|(n, said)| {
        let (thought, signature) = beside(n);
        said["reasoning_content"] == thought && said["tool_calls"][0]["extra_content"] == signature
    });
    if !is_own {
        thinker.refused.fetch_add(1, Ordering::SeqCst);
        let told = "The `reasoning_content` in the thinking mode must be passed back to the API.";
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({"error": {"message": told}})),
        );
    }
    let n = said.len();
    if n == CALLS && asked == CALLS {
        std::future::pending::<()>().await;
    }
    let (thought, signature) = beside(n);
    let message = if n < CALLS {
        let tools = body["tools"].as_array().unwrap().iter();
        let name = |tool: &Value| tool["function"]["name"].as_str().unwrap().to_owned();
        let search = tools
            .map(name)
            .find(|name| name.contains("search"))
            .unwrap();
        let function = json!({"name": search, "arguments": "{\"query\":\"release\"}"});
        let call = json!({"id": format!("c{n}"), "type": "function", "function": function, "extra_content": signature});
        json!({"role": "assistant", "content": null, "reasoning_content": thought, "tool_calls": [call]})
    } else {
        json!({"role": "assistant", "content": "By the runbook.", "reasoning_content": thought})
    };
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 9});
    let answer = json!({"choices": [{"message": message}], "usage": usage});
    (StatusCode::OK, Json(answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_thought_goes_back_to_it_also_after_a_crash() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins");
    let files = ["text", "research"].map(|name| folder.join(format!("{name}.wasm")));
    if files.iter().any(|file| !file.exists()) {
        eprintln!("skipped: `make plugins` builds what this needs");
        return;
    }
    let thinker = Arc::new(Thinker::default());
    let app = Router::new()
        .route("/v1/chat/completions", post(think))
        .with_state(thinker.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let options = Options {
        config: format!(
            "[models]\norder = [\"thinker\", \"simulated\"]\n[models.providers.thinker]\n\
             wire = \"openai\"\nurl = \"{url}\"\nlocal = true\nmodels = {{ smart = \"m\" }}\n\
             quirks = [\"thoughts-back\", \"signatures-back\"]\n\
             price = [{{ model = \"m\", input = \"1\", output = \"1\" }}]\n"
        ),
        ..Options::default()
    };
    let host = Host::with(&options);
    for file in &files {
        host.admin().install(std::fs::read(file).unwrap()).await;
    }
    let question = json!({"question": "How do we roll back a release?"});
    let task = json!({"kind": "research", "input": question});
    let task = host.admin().submit(&task).await;
    let client = host.admin();
    client
        .until(async || (thinker.asked.load(Ordering::SeqCst) > CALLS).then_some(()))
        .await;
    let host = Host::over(host.kill(), &options);
    let ended = host.admin().ended(task["id"].as_str().unwrap()).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    assert_eq!(ended["output"]["author"], "model", "{ended}");
    assert_eq!(ended["output"]["answer"], "By the runbook.", "{ended}");
    assert_eq!(thinker.refused.load(Ordering::SeqCst), 0);
    assert_eq!(thinker.asked.load(Ordering::SeqCst), CALLS + 2);
}
