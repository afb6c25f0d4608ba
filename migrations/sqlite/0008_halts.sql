-- What is halted: `host`, `tenant/NAME`, `plugin/NAME`. Executions that a halt stopped wait for its end.
CREATE TABLE halts (
    scope     TEXT PRIMARY KEY,
    reason    TEXT NOT NULL,
    halted_by TEXT NOT NULL,
    halted_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tasks_that_are_halted ON tasks (created_at, id) WHERE waiting_for = 'halt';
