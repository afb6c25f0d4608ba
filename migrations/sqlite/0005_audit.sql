-- What somebody did that others may ask about later: numbered without a gap, in the transaction of the deed. `hash`
-- chains an act to the one before it; it is missing until the act is sealed. Rows are never removed.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    act     TEXT NOT NULL,
    subject TEXT NOT NULL,
    tenant  TEXT,
    data    TEXT NOT NULL,
    hash    TEXT
);
CREATE INDEX audit_by_actor ON audit (actor);
CREATE INDEX audit_by_act ON audit (act);
CREATE INDEX audit_by_subject ON audit (subject);
CREATE INDEX audit_by_tenant ON audit (tenant) WHERE tenant IS NOT NULL;
INSERT INTO counters (name, value) VALUES ('act', 0);
