-- Everything that a host keeps. Times are microseconds since 1970, money is micro-dollars, JSON is
-- text, digests are lower-case hex. Every row says for whom (tenant); where somebody asked for it,
-- also who (principal).

-- Numbers that only go up, with the transaction that used them.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES ('event', 0);

-- Whether a write succeeds is found out by writing here.
CREATE TABLE probe (
    id     INTEGER PRIMARY KEY,
    filler BLOB NOT NULL
);
INSERT INTO probe (id, filler) VALUES (1, zeroblob(8192));

CREATE TABLE tenants (
    tenant TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE principals (
    name       TEXT PRIMARY KEY,
    role       TEXT NOT NULL,
    tenants    TEXT NOT NULL,
    token      TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
);

CREATE TABLE tasks (
    id               TEXT PRIMARY KEY,
    title            TEXT NOT NULL,
    description      TEXT NOT NULL,
    kind             TEXT NOT NULL,
    target           TEXT,
    priority         INTEGER NOT NULL,
    input            TEXT NOT NULL,
    session          TEXT,
    subject          TEXT,
    tenant           TEXT NOT NULL,
    created_by       TEXT NOT NULL,
    assigned_agents  TEXT NOT NULL,
    status           TEXT NOT NULL,
    waiting_for      TEXT,
    progress         REAL,
    progress_message TEXT,
    result           TEXT,
    output           TEXT,
    summary          TEXT,
    quality_score    REAL,
    success_rate     REAL,
    cost_micro_usd   INTEGER NOT NULL,
    duration_seconds REAL,
    metadata         TEXT NOT NULL,
    error            TEXT,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    completed_at     INTEGER,
    execution        TEXT,
    attempts         INTEGER NOT NULL,
    retries_left     INTEGER NOT NULL,
    parent           TEXT,
    root             TEXT NOT NULL,
    depth            INTEGER NOT NULL,
    created_in       TEXT,
    trigger_name     TEXT,
    expires_at       INTEGER,
    queued           INTEGER NOT NULL
);
CREATE INDEX tasks_by_age ON tasks (created_at, id);
CREATE INDEX tasks_by_tenant ON tasks (tenant, created_at, id);
CREATE INDEX tasks_by_status ON tasks (status, created_at, id);
CREATE INDEX tasks_by_subject ON tasks (subject, created_at) WHERE subject IS NOT NULL;
CREATE INDEX tasks_by_session ON tasks (session, created_at) WHERE session IS NOT NULL;
CREATE INDEX tasks_by_parent ON tasks (parent) WHERE parent IS NOT NULL;
CREATE INDEX tasks_by_root ON tasks (root) WHERE parent IS NOT NULL;
CREATE INDEX tasks_by_expiry ON tasks (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE idempotency_keys (
    principal TEXT NOT NULL,
    key       TEXT NOT NULL,
    request   TEXT NOT NULL,
    task      TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    at        INTEGER NOT NULL,
    PRIMARY KEY (principal, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_task ON idempotency_keys (task);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);

-- At most one host journals an execution: the one that holds lease_epoch, until lease_until.
CREATE TABLE executions (
    id          TEXT PRIMARY KEY,
    task        TEXT REFERENCES tasks (id) ON DELETE CASCADE,
    attempt     INTEGER NOT NULL,
    root        TEXT NOT NULL,
    tenant      TEXT NOT NULL,
    principal   TEXT NOT NULL,
    lease_owner TEXT,
    lease_epoch INTEGER NOT NULL,
    lease_until INTEGER,
    started_at  INTEGER NOT NULL
);
CREATE INDEX executions_by_task ON executions (task) WHERE task IS NOT NULL;

-- Limits, contract and digest are pinned when an invocation starts. The seed is secret.
CREATE TABLE invocations (
    id                TEXT PRIMARY KEY,
    execution         TEXT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    task              TEXT,
    parent            TEXT,
    parent_step       INTEGER,
    depth             INTEGER NOT NULL,
    kind              TEXT NOT NULL,
    plugin            TEXT NOT NULL,
    digest            TEXT NOT NULL,
    contract          TEXT,
    function          TEXT NOT NULL,
    input             TEXT NOT NULL,
    tenant            TEXT NOT NULL,
    principal         TEXT NOT NULL,
    subject           TEXT,
    grant_generation  INTEGER NOT NULL,
    limits            TEXT NOT NULL,
    seed              BLOB NOT NULL,
    status            TEXT NOT NULL,
    result            TEXT,
    error             TEXT,
    started_at        INTEGER NOT NULL,
    ended_at          INTEGER,
    steps             INTEGER NOT NULL,
    peak_memory_bytes INTEGER NOT NULL,
    cost_micro_usd    INTEGER NOT NULL
);
CREATE INDEX invocations_by_execution ON invocations (execution, started_at);

-- An intent may carry the time until which it may be sent; a successor waits past it.
CREATE TABLE steps (
    invocation       TEXT NOT NULL REFERENCES invocations (id) ON DELETE CASCADE,
    sequence         INTEGER NOT NULL,
    idx              INTEGER NOT NULL,
    tenant           TEXT NOT NULL,
    interface        TEXT NOT NULL,
    function         TEXT NOT NULL,
    arguments        TEXT NOT NULL,
    arguments_digest TEXT NOT NULL,
    effects          TEXT NOT NULL,
    state            TEXT NOT NULL,
    answer           TEXT,
    refused          INTEGER NOT NULL,
    child            TEXT,
    cost_micro_usd   INTEGER NOT NULL,
    at               INTEGER NOT NULL,
    answered_at      INTEGER,
    dispatch_until   INTEGER,
    PRIMARY KEY (invocation, sequence, idx)
);

-- No reference to the invocation: a line may come after its task was removed.
CREATE TABLE logs (
    number     INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    level      TEXT NOT NULL,
    message    TEXT NOT NULL,
    plugin     TEXT NOT NULL,
    invocation TEXT NOT NULL,
    task       TEXT,
    subject    TEXT,
    tenant     TEXT NOT NULL
);
CREATE INDEX logs_by_age ON logs (at);
CREATE INDEX logs_by_plugin ON logs (plugin, at);
CREATE INDEX logs_by_task ON logs (task, at) WHERE task IS NOT NULL;
CREATE INDEX logs_by_subject ON logs (subject, at) WHERE subject IS NOT NULL;

CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    time    INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    subject TEXT,
    task    TEXT,
    tenant  TEXT NOT NULL,
    data    TEXT NOT NULL
);
CREATE INDEX events_by_task ON events (task) WHERE task IS NOT NULL;
CREATE INDEX events_by_subject ON events (subject) WHERE subject IS NOT NULL;

CREATE TABLE packages (
    digest    TEXT PRIMARY KEY,
    bytes     BLOB NOT NULL,
    stored_at INTEGER NOT NULL
);

CREATE TABLE installations (
    name             TEXT PRIMARY KEY,
    digest           TEXT NOT NULL,
    previous         TEXT,
    settings         TEXT NOT NULL,
    granted          TEXT NOT NULL,
    grant_generation INTEGER NOT NULL,
    status           TEXT NOT NULL,
    installed_at     INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    updated_by       TEXT NOT NULL
);

CREATE TABLE triggers (
    name  TEXT PRIMARY KEY,
    event INTEGER NOT NULL,
    tick  INTEGER
);

CREATE TABLE collections (
    name        TEXT PRIMARY KEY,
    owner       TEXT NOT NULL,
    declaration TEXT NOT NULL
);

-- `number` breaks ties of an order and joins the full text. The indexes over fields of the body
-- are made when a collection is declared.
CREATE TABLE records (
    number     INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    tenant     TEXT NOT NULL,
    id         TEXT NOT NULL,
    version    INTEGER NOT NULL,
    body       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    written_in TEXT,
    UNIQUE (collection, tenant, id)
);
CREATE INDEX records_by_creation ON records (collection, created_at);
CREATE INDEX records_by_change ON records (collection, updated_at);

CREATE VIRTUAL TABLE records_text USING fts5 (
    text,
    content = '',
    contentless_delete = 1,
    tokenize = 'unicode61 remove_diacritics 2'
);
