-- Telemetry: what agents look at. In a file of its own, because it is much, and expires.
-- Times are microseconds since 1970.

-- Which series there are; `key` holds metric and labels (host/store/src/series/key.rs).
CREATE TABLE series (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant  TEXT NOT NULL,
    key     BLOB NOT NULL
) STRICT;

-- Points of one series, compressed. Of points with the same time, the block with the higher
-- number is right.
CREATE TABLE blocks (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    series  INTEGER NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    -- 1: its points are in memory too, and the next checkpoint writes it anew with more.
    open    INTEGER NOT NULL,
    -- Up to this row of `ahead` the points of the series are in blocks.
    ahead   INTEGER NOT NULL,
    data    BLOB NOT NULL
) STRICT;
CREATE INDEX blocks_by_series ON blocks (series, last);
CREATE INDEX blocks_by_last ON blocks (last);
CREATE INDEX blocks_open ON blocks (series) WHERE open = 1;

-- Points that were accepted and are in memory: read again at the start.
CREATE TABLE ahead (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    data    BLOB NOT NULL
) STRICT;

-- One row: the highest block when `ahead` was emptied last.
CREATE TABLE checkpoint (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    block   INTEGER NOT NULL
) STRICT;
INSERT INTO checkpoint (id, block) VALUES (1, 0);

-- `hash` is of the whole line, so that the same line is there once however often it is sent.
CREATE TABLE logs (
    tenant   TEXT NOT NULL,
    time     INTEGER NOT NULL,
    hash     INTEGER NOT NULL,
    service  TEXT NOT NULL,
    severity INTEGER NOT NULL,
    message  TEXT NOT NULL,
    labels   TEXT NOT NULL,
    PRIMARY KEY (tenant, time, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX logs_by_service ON logs (tenant, service, time, hash);
CREATE INDEX logs_by_time ON logs (time);

CREATE TABLE spans (
    id        INTEGER PRIMARY KEY,
    tenant    TEXT NOT NULL,
    trace     TEXT NOT NULL,
    span      TEXT NOT NULL,
    parent    TEXT,
    service   TEXT NOT NULL,
    operation TEXT NOT NULL,
    start     INTEGER NOT NULL,
    duration  INTEGER NOT NULL,
    error     INTEGER NOT NULL,
    -- 1: a request that came to the service from outside of it.
    entry     INTEGER NOT NULL,
    labels    TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX spans_by_trace ON spans (tenant, trace, span);
CREATE INDEX spans_by_start ON spans (tenant, start);
CREATE INDEX spans_by_service ON spans (tenant, service, start);
CREATE INDEX spans_by_time ON spans (start);

-- Who depends on whom: as it was given (`seen` is null), and as spans have shown it.
CREATE TABLE edges (
    tenant  TEXT NOT NULL,
    caller  TEXT NOT NULL,
    callee  TEXT NOT NULL,
    given   INTEGER NOT NULL,
    seen    INTEGER,
    PRIMARY KEY (tenant, given, caller, callee)
) STRICT, WITHOUT ROWID;

-- /ready and opening try a write here.
CREATE TABLE probe (
    id     INTEGER PRIMARY KEY,
    filler BLOB NOT NULL
) STRICT;
