//! A small client of the REST API that says what it got when that is not what a test expects.

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::future::Future;
use std::time::{Duration, Instant};

/// The longest that a test waits for something that must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Calls one host as one principal.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

/// What the host answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
    request: String,
}

impl Answer {
    /// The body as JSON, if the status is a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(
            (200..300).contains(&self.status),
            "{}: {} {}",
            self.request,
            self.status,
            self.text
        );
        self.json()
    }

    /// The body as JSON, if the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.request, self.text);
        self.json()
    }

    /// The body as JSON; null if there is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.request, self.text))
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl Client {
    /// A client of the host at `url`.
    pub fn new(url: &str, token: Option<&str>) -> Self {
        Self {
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(90))
                .build()
                .unwrap(),
            url: url.to_owned(),
            token: token.map(str::to_owned),
        }
    }

    /// The same, with a connection for each request: a host that refuses a long body closes the
    /// connection, and the next request must not meet that.
    #[must_use]
    pub fn unpooled(&self) -> Self {
        let http = reqwest::Client::builder().pool_max_idle_per_host(0);
        let http = http.timeout(Duration::from_secs(90)).build().unwrap();
        Self {
            http,
            ..self.clone()
        }
    }

    /// The token that it sends.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Where the host is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A request to be completed.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        match self.try_send(request).await {
            Ok(answer) => answer,
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends a request to a host that may go away meanwhile.
    ///
    /// # Errors
    /// What became of the connection; whether the host did it is then unknown.
    pub async fn try_send(&self, request: RequestBuilder) -> Result<Answer, String> {
        let request = request.build().unwrap();
        let name = format!("{} {}", request.method(), request.url().path());
        let lost = |error: reqwest::Error| format!("{name}: {error:?}");
        let response = self.http.execute(request).await.map_err(lost)?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.map_err(lost)?,
            request: name,
        })
    }

    /// `GET`
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// `PUT` with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// `DELETE`
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Installs a plugin file with all that it asks for.
    pub async fn install(&self, file: Vec<u8>) -> Value {
        self.upload("?accept=true", file).await.ok()
    }

    /// Sends a plugin file, with this query.
    pub async fn upload(&self, query: &str, file: Vec<u8>) -> Answer {
        let request = self
            .request(Method::POST, &format!("/api/v1/plugins{query}"))
            .header("content-type", "application/wasm")
            .body(file);
        self.send(request).await
    }

    /// Submits a task and returns it at once.
    pub async fn submit(&self, task: &Value) -> Value {
        self.post("/api/v1/tasks", task).await.ok()
    }

    /// Submits a task of this kind and returns it when it has ended.
    pub async fn run(&self, kind: &str, input: Value) -> Value {
        let request = self
            .request(Method::POST, "/api/v1/tasks")
            .header("prefer", "wait=60")
            .json(&json!({"kind": kind, "input": input}));
        let task = self.send(request).await.ok();
        assert!(is_final(&task), "not ended after a minute: {task}");
        task
    }

    /// The task as it is now.
    pub async fn task(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/tasks/{id}")).await.ok()
    }

    /// The task once it has ended.
    pub async fn ended(&self, id: &str) -> Value {
        self.until(|| async {
            let task = self.task(id).await;
            is_final(&task).then_some(task)
        })
        .await
    }

    /// The task once its status is this one.
    pub async fn reaches(&self, id: &str, status: &str) -> Value {
        self.until(|| async {
            let task = self.task(id).await;
            (task["status"] == status).then_some(task)
        })
        .await
    }

    /// The steps of a task's latest execution.
    pub async fn steps(&self, id: &str) -> Vec<Value> {
        let page = self
            .get(&format!("/api/v1/tasks/{id}/steps?limit=1000"))
            .await
            .ok();
        page["items"].as_array().unwrap().clone()
    }

    /// The items of a listing.
    pub async fn items(&self, path: &str) -> Vec<Value> {
        let page = self.get(path).await.ok();
        page["items"]
            .as_array()
            .unwrap_or_else(|| panic!("no items: {page}"))
            .clone()
    }

    /// The items of all pages of a listing; `path` has a query already.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}&limit=1000{cursor}")).await.ok();
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// All events, in the order in which the host tells them.
    pub async fn events(&self) -> Vec<Value> {
        let (mut events, mut after) = (Vec::new(), 0);
        loop {
            let path = format!("/api/v1/events?limit=1000&after={after}");
            let page = self.get(&path).await.ok();
            let items = page["items"].as_array().unwrap();
            if items.is_empty() {
                return events;
            }
            after = items[items.len() - 1]["seq"].as_u64().unwrap();
            events.extend(items.iter().cloned());
        }
    }

    /// A sample of `/metrics`; 0 when it is not there.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.text;
        let sample = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        sample.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    /// Asks again until there is an answer.
    pub async fn until<T, F: Future<Output = Option<T>>>(&self, ask: impl Fn() -> F) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            assert!(
                Instant::now() < until,
                "it did not come within {PATIENCE:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Whether a task has ended.
pub fn is_final(task: &Value) -> bool {
    matches!(
        task["status"].as_str(),
        Some("succeeded" | "failed" | "cancelled")
    )
}
