//! Backends to test, and rows to write.

use mandate_store::*;
use mandate_types::*;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where a backend keeps its data for one case.
pub struct Home {
    dir: TempDir,
}

impl Home {
    pub fn embedded() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
    }

    pub async fn open(&self) -> SharedStore {
        self.try_open().await.unwrap()
    }

    pub async fn try_open(&self) -> Result<SharedStore, StoreError> {
        open_embedded(self.dir.path()).await
    }

    /// Does to the database what only somebody does who has the machine.
    pub async fn by_hand(&self, statement: &'static str) {
        use sqlx::{ConnectOptions as _, Connection as _};
        let options =
            sqlx::sqlite::SqliteConnectOptions::new().filename(self.dir.path().join("mandate.db"));
        let mut conn = options.connect().await.unwrap();
        sqlx::query(statement).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    }

    /// Where its files are.
    pub fn path(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The modes of its files.
    pub fn modes(&self) -> Vec<(String, u32)> {
        use std::os::unix::fs::PermissionsExt as _;
        let files = std::fs::read_dir(self.dir.path()).unwrap();
        files
            .map(|file| {
                let file = file.unwrap();
                let mode = file.metadata().unwrap().permissions().mode();
                (file.file_name().into_string().unwrap(), mode & 0o777)
            })
            .collect()
    }

    /// With room for so many pages only.
    pub async fn open_small(&self, pages: u32) -> SharedStore {
        open_embedded_with(
            self.dir.path(),
            &SqliteSettings {
                max_pages: Some(pages),
            },
        )
        .await
        .unwrap()
    }
}

pub fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + micros)
}

pub fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub fn who(name: &str) -> PrincipalName {
    PrincipalName::parse(name).unwrap()
}

pub fn plugin(name: &str) -> PluginName {
    PluginName::parse(name).unwrap()
}

pub fn task() -> Task {
    let id = TaskId::fresh();
    Task {
        root: id.clone(),
        id,
        title: "look".to_owned(),
        description: String::new(),
        kind: "research".to_owned(),
        target: None,
        priority: 5,
        input: json!({"question": "why"}),
        session: None,
        subject: None,
        tenant: TenantId::default(),
        created_by: who("ann"),
        assigned_agents: vec![],
        status: TaskStatus::Pending,
        waiting_for: None,
        progress: None,
        progress_message: None,
        result: None,
        output: None,
        summary: None,
        quality_score: None,
        success_rate: None,
        cost_micro_usd: MicroUsd::ZERO,
        simulated: false,
        duration_seconds: None,
        metadata: json!({}),
        error: None,
        created_at: at(0),
        updated_at: at(0),
        completed_at: None,
        execution: None,
        attempts: 0,
        retries_left: 0,
        parent: None,
        depth: 0,
        created_in: None,
        trigger: None,
        expires_at: None,
        queued: true,
        continuation: Some(json!({"page": 2})),
    }
}

pub fn execution(task: Option<&TaskId>) -> Execution {
    Execution {
        id: ExecutionId::fresh(),
        task: task.cloned(),
        attempt: 1,
        root: InvocationId::fresh(),
        tenant: TenantId::default(),
        principal: who("ann"),
        lease_epoch: 1,
        started_at: at(1),
    }
}

pub fn invocation(execution: &Execution) -> Invocation {
    Invocation {
        id: execution.root.clone(),
        execution: execution.id.clone(),
        task: execution.task.clone(),
        parent: None,
        parent_step: None,
        depth: 0,
        kind: GuestKind::Agent,
        plugin: plugin("research"),
        digest: Digest::of(b"component"),
        contract: Some("1.0".to_owned()),
        settings: Some(json!({"threshold": 0.5})),
        function: "research".to_owned(),
        input: json!([1, "two"]),
        tenant: execution.tenant.clone(),
        principal: who("ann"),
        subject: Some(Subject::parse("notes/N-1").unwrap()),
        grant_generation: 3,
        limits: Limits::default(),
        seed: vec![0, 255, 7],
        status: InvocationStatus::Running,
        result: None,
        error: None,
        started_at: at(1),
        ended_at: None,
        steps: 0,
        peak_memory_bytes: 0,
        cost_micro_usd: MicroUsd::ZERO,
        erased: false,
    }
}

pub fn step(invocation: &InvocationId, sequence: u64, index: u32) -> Step {
    let arguments = json!({"n": sequence, "text": "it's \"quoted\""});
    Step {
        invocation: invocation.clone(),
        sequence,
        index,
        tenant: TenantId::default(),
        interface: "mandate:records/records".to_owned(),
        function: "create".to_owned(),
        arguments_digest: json::digest(&arguments),
        arguments,
        effects: Effects::Internal,
        state: StepState::Answered,
        answer: Some(json!({"ok": null})),
        refused: false,
        child: None,
        cost_micro_usd: MicroUsd(7),
        at: at(i64::try_from(sequence).unwrap()),
        answered_at: Some(at(100)),
        active_us: Some(1_500),
        erased: false,
    }
}

pub fn event(kind: &str) -> NewEvent {
    NewEvent {
        time: at(5),
        kind: kind.to_owned(),
        subject: None,
        task: None,
        tenant: TenantId::default(),
        data: json!({"n": 1}),
    }
}

pub fn collection(name: &str) -> Collection {
    let field = |name: &str, kind| IndexedField {
        name: name.to_owned(),
        kind,
    };
    Collection {
        name: name.to_owned(),
        owner: plugin("incident-triage"),
        schema: json!({"type": "object"}),
        id_pattern: "INC-{8}".to_owned(),
        indexed: vec![
            field("status", FieldKind::Text),
            field("weight", FieldKind::Number),
            field("open", FieldKind::Boolean),
            field("tags", FieldKind::Texts),
        ],
        full_text: vec![],
        retired: false,
    }
}

pub fn record(collection: &str, id: &str, body: Value) -> Record {
    Record {
        collection: collection.to_owned(),
        id: id.to_owned(),
        tenant: TenantId::default(),
        version: 1,
        body,
        created_at: at(0),
        updated_at: at(0),
        created_by: who("ann"),
        written_in: None,
    }
}

pub fn find(collection: &str) -> RecordQuery {
    RecordQuery {
        collection: collection.to_owned(),
        tenants: None,
        conditions: vec![],
        text: None,
        order: None,
        limit: 100,
        cursor: None,
    }
}

pub fn create(task: &Task) -> Write {
    Write::CreateTask(Box::new(task.clone()))
}

pub fn change(id: &TaskId, from: &'static [TaskStatus], change: TaskChange) -> Write {
    Write::ChangeTask {
        id: id.clone(),
        from,
        change: Box::new(change),
    }
}

pub fn to(status: TaskStatus) -> TaskChange {
    TaskChange {
        status: Some(status),
        updated_at: at(9),
        ..TaskChange::default()
    }
}

pub fn put(record: &Record) -> Write {
    Write::Record(Box::new(RecordWrite::Create(record.clone())))
}

pub fn declare(collection: &Collection) -> Write {
    Write::PutCollection(Box::new(collection.clone()))
}

pub fn happen(event: NewEvent) -> Write {
    Write::Event(Box::new(event))
}

/// Writes a task with a running execution and its root invocation.
pub async fn running(store: &dyn Store) -> (Task, Execution, Invocation) {
    let task = task();
    let execution = execution(Some(&task.id));
    let invocation = invocation(&execution);
    let writes = vec![
        create(&task),
        Write::StartExecution(Box::new(execution.clone())),
        Write::StartInvocation(Box::new(invocation.clone())),
    ];
    store.commit(None, writes).await.unwrap();
    (task, execution, invocation)
}

pub fn decision() -> Decision {
    Decision {
        request: DecisionRequest {
            sentence: "`remediation` wants to call `actions.restart`.".into(),
            tenant: TenantId::default(),
            task: None,
            root_task: None,
            subject: None,
            execution: ExecutionId::fresh(),
            invocation: InvocationId::fresh(),
            sequence: 1,
            index: 0,
            principal: who("ann"),
            plugin: Some(plugin("remediation")),
            chain: vec![plugin("remediation")],
            tool: "actions.restart".into(),
            tool_digest: Digest::of(b"tool"),
            arguments: json!({"service": "cart"}),
            arguments_digest: Digest::of(b"arguments"),
            grant_generation: 1,
            effects: Effects::Reversible,
            idempotent: false,
            target: Some("cart".into()),
            why: None,
            cost: Some(MicroUsd::dollars(12_000)),
            gain: None,
            roi: None,
            risk: None,
            reversible: true,
            undo: None,
            confidence: None,
            level: 3,
            verdict: "escalate".into(),
            rule: "level-3".into(),
            reason: String::new(),
            facts: json!({}),
            lifts: Vec::new(),
        },
        id: DecisionId::fresh(),
        status: DecisionStatus::Pending,
        requested_at: at(0),
        expires_at: None,
        resolved_at: None,
        resolved_by: None,
        self_approved: false,
        comment: None,
        child: None,
        ended_at: None,
        actual_cost: None,
        result: None,
    }
}
