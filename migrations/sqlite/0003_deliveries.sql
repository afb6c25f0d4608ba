-- What was delivered to webhooks: what still has to be done, and for a day what came of it, so that a delivery that
-- comes again is answered as the first one was.
CREATE TABLE deliveries (
    id        TEXT PRIMARY KEY,
    plugin    TEXT NOT NULL,
    webhook   TEXT NOT NULL,
    tenant    TEXT NOT NULL,
    principal TEXT NOT NULL,
    key       TEXT,
    status    TEXT NOT NULL,
    attempts  INTEGER NOT NULL,
    body      TEXT NOT NULL,
    answer    TEXT,
    at        INTEGER NOT NULL,
    ended_at  INTEGER
);
CREATE UNIQUE INDEX deliveries_by_key ON deliveries (plugin, webhook, tenant, key) WHERE key IS NOT NULL;
CREATE INDEX deliveries_to_do ON deliveries (at) WHERE status = 'accepted';
CREATE INDEX deliveries_by_age ON deliveries (at);
