//! What the routes work on, and what an operator can set of them.

use super::auth::Door;
use super::doc::Document;
use super::finished::Finished;
use super::front::RequestMetrics;
use super::hub::Hub;
use super::limit::Rates;
use super::observe::Checked;
use super::plugin_view::Authorities;
use super::telemetry::Intake;
use crate::approval::Approvals;
use crate::task::Tasks;
use crate::webhook::Webhooks;
use mandate_kernel::Kernel;
use mandate_kernel::audit::Audit;
use mandate_store::SharedStore;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::{Deserialize, Serialize};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// `[api]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiSettings {
    /// Origins (`https://console.example.org`) whose pages may call; none by default. The
    /// host's own is always allowed.
    pub cors_origins: Vec<String>,
    /// Where people reach this host, for links: `https://ops.example.org`. Where it listens,
    /// when empty.
    pub public_url: String,
    /// Connections at the same time; more wait until they are accepted.
    pub connections: u32,
    /// Seconds in which the head of a request must have arrived; as long may a connection idle.
    pub head_seconds: u64,
    /// The most bytes of a JSON body.
    pub body_limit: usize,
    /// The most bytes of a plugin's file.
    pub plugin_body_limit: usize,
    /// Seconds in which a JSON body must have arrived; a plugin's file has ten times as many.
    pub body_seconds: u64,
    /// Requests per second and principal.
    pub requests_per_second: u32,
    /// Requests that a principal may make at once after a pause.
    pub request_burst: u32,
    /// Events that a WebSocket client may fall behind before it is told that it lagged.
    pub ws_buffer: usize,
    /// WebSocket clients at the same time.
    pub ws_clients: usize,
    /// Whether `/metrics` can be read without a token.
    pub metrics_public: bool,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            cors_origins: Vec::new(),
            public_url: String::new(),
            connections: 8_192,
            head_seconds: 60,
            body_limit: 1 << 20,
            plugin_body_limit: mandate_plugin::package::MAX_PACKAGE_BYTES,
            body_seconds: 30,
            requests_per_second: 20_000,
            request_burst: 40_000,
            ws_buffer: 4_096,
            ws_clients: 1_024,
            metrics_public: true,
        }
    }
}

/// What the routes work on.
pub struct ApiState {
    /// Store and catalogue.
    pub kernel: Arc<Kernel>,
    /// What this host does.
    pub tasks: Arc<Tasks>,
    /// What people answer.
    pub approvals: Arc<Approvals>,
    /// What the operator set.
    pub settings: ApiSettings,
    /// What others deliver.
    pub webhooks: Arc<Webhooks>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// Where telemetry comes in.
    pub intake: Intake,
    /// Who did what.
    pub audit: Arc<Audit>,
    /// When the host started.
    pub started: Instant,
    /// Who calls.
    pub(super) door: Door,
    /// Finished tasks, as they are sent.
    pub(super) finished: Finished,
    /// Events for WebSocket clients.
    pub(super) hub: Hub,
    /// What is counted of requests.
    pub(super) requests: RequestMetrics,
    /// Whether the store took a write a moment ago.
    pub(super) checked: Checked,
    /// What plugins ask for, in words.
    pub(super) authorities: Authorities,
    document: OnceLock<Document>,
}

impl ApiState {
    /// Everything that is kept.
    pub fn store(&self) -> &SharedStore {
        self.kernel.store()
    }

    pub(super) fn describe(&self, document: utoipa::openapi::OpenApi) {
        self.document.get_or_init(|| Document::new(&document));
    }

    pub(super) fn document(&self) -> &Document {
        self.document.get_or_init(Document::default)
    }
}

/// The state, shared by all requests.
#[derive(Clone)]
pub struct Api(Arc<ApiState>);

impl Api {
    /// The API of a running host; begins to pass events on. To be called within
    /// a tokio runtime.
    pub fn new(
        kernel: Arc<Kernel>,
        tasks: Arc<Tasks>,
        approvals: Arc<Approvals>,
        settings: ApiSettings,
        metrics: PrometheusHandle,
        intake: Intake,
        audit: Arc<Audit>,
    ) -> Self {
        let rates = Rates::new(settings.requests_per_second, settings.request_burst);
        let state = Arc::new(ApiState {
            door: Door::new(kernel.store().clone(), rates),
            finished: Finished::new(),
            hub: Hub::new(settings.ws_buffer, settings.ws_clients),
            requests: RequestMetrics::default(),
            checked: Checked::default(),
            authorities: Authorities::new(),
            document: OnceLock::new(),
            started: Instant::now(),
            webhooks: Webhooks::new(tasks.clone(), kernel.store().clone()),
            kernel,
            tasks,
            approvals,
            settings,
            metrics,
            intake,
            audit,
        });
        super::hub::start(&state);
        state.webhooks.start();
        Self(state)
    }
}

impl Deref for Api {
    type Target = ApiState;
    fn deref(&self) -> &ApiState {
        &self.0
    }
}
