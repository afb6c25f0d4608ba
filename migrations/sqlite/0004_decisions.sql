-- Decisions, the money they commit, the questions that people are asked, and who waits for what.

-- What was asked is in the body and never changes; what came of it is in the columns.
CREATE TABLE decisions (
    id            TEXT PRIMARY KEY,
    status        TEXT NOT NULL,
    tenant        TEXT NOT NULL,
    task          TEXT,
    execution     TEXT NOT NULL,
    invocation    TEXT NOT NULL,
    sequence      INTEGER NOT NULL,
    idx           INTEGER NOT NULL,
    plugin        TEXT,
    tool          TEXT NOT NULL,
    target        TEXT,
    cost          INTEGER,
    requested_at  INTEGER NOT NULL,
    expires_at    INTEGER,
    resolved_at   INTEGER,
    resolved_by   TEXT,
    self_approved INTEGER NOT NULL,
    comment       TEXT,
    child         TEXT,
    ended_at      INTEGER,
    actual_cost   INTEGER,
    result        TEXT,
    body          TEXT NOT NULL
);
CREATE INDEX decisions_by_step ON decisions (invocation, sequence, idx);
CREATE INDEX decisions_by_age ON decisions (requested_at, id);
CREATE INDEX decisions_by_tenant ON decisions (tenant, requested_at, id);
CREATE INDEX decisions_by_execution ON decisions (execution);
CREATE INDEX decisions_by_task ON decisions (task) WHERE task IS NOT NULL;
CREATE INDEX decisions_open ON decisions (expires_at) WHERE status IN ('pending', 'approved');

-- Each reservation of money, and what became of it.
CREATE TABLE ledger (
    id        TEXT PRIMARY KEY,
    kind      TEXT NOT NULL,
    tenant    TEXT NOT NULL,
    plugin    TEXT,
    execution TEXT NOT NULL,
    task      TEXT,
    decision  TEXT,
    reserved  INTEGER NOT NULL,
    settled   INTEGER,
    uncertain INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    ended_at  INTEGER
);
CREATE INDEX ledger_by_execution ON ledger (execution);
CREATE INDEX ledger_by_tenant ON ledger (tenant, at);
CREATE INDEX ledger_by_task ON ledger (task) WHERE task IS NOT NULL;

-- What counts over each scope: one row per scope of an entry, so that a sum reads one index.
CREATE TABLE spendings (
    scope  TEXT NOT NULL,
    at     INTEGER NOT NULL,
    entry  TEXT NOT NULL REFERENCES ledger (id) ON DELETE CASCADE,
    amount INTEGER NOT NULL,
    PRIMARY KEY (scope, at, entry)
) WITHOUT ROWID;
CREATE INDEX spendings_by_entry ON spendings (entry);

CREATE TABLE questions (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    status      TEXT NOT NULL,
    tenant      TEXT NOT NULL,
    task        TEXT,
    subject     TEXT,
    execution   TEXT NOT NULL,
    invocation  TEXT NOT NULL,
    sequence    INTEGER NOT NULL,
    idx         INTEGER NOT NULL,
    plugin      TEXT NOT NULL,
    text        TEXT NOT NULL,
    schema      TEXT NOT NULL,
    asked_at    INTEGER NOT NULL,
    answer      TEXT,
    answered_by TEXT,
    answered_at INTEGER
);
CREATE INDEX questions_by_step ON questions (invocation, sequence, idx);
CREATE INDEX questions_by_age ON questions (asked_at, id);
CREATE INDEX questions_by_execution ON questions (execution);

-- Parked executions, and what each waits for: a decision, a question, or a time.
CREATE TABLE waits (
    execution TEXT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
    key       TEXT NOT NULL,
    task      TEXT,
    wake_at   INTEGER,
    since     INTEGER NOT NULL,
    PRIMARY KEY (execution, key)
) WITHOUT ROWID;
CREATE INDEX waits_by_key ON waits (key);
CREATE INDEX waits_by_time ON waits (wake_at) WHERE wake_at IS NOT NULL;

-- How long its guest had run when a step was written, in microseconds: a limit on time counts over a restart.
ALTER TABLE steps ADD COLUMN active_us INTEGER;

-- What the next execution of a task begins with, if one asked for that with its end.
ALTER TABLE tasks ADD COLUMN continuation TEXT;
