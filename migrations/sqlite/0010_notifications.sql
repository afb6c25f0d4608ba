-- Through which channel people are told of a pending decision, and when: planned when it is asked, one row for each time.
-- A row is tried until it is delivered, or its decision is answered.
CREATE TABLE notifications (
    decision     TEXT NOT NULL,
    number       INTEGER NOT NULL,
    channel      TEXT NOT NULL,
    due_at       INTEGER NOT NULL,
    status       TEXT NOT NULL,
    attempts     INTEGER NOT NULL,
    error        TEXT,
    delivered_at INTEGER,
    PRIMARY KEY (decision, number)
) WITHOUT ROWID;
CREATE INDEX notifications_due ON notifications (due_at) WHERE status = 'planned';
