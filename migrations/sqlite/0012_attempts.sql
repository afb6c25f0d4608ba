-- An attempt at a provider is an entry of its own: with whom, and with which model.
ALTER TABLE ledger ADD COLUMN provider TEXT;
ALTER TABLE ledger ADD COLUMN model TEXT;
CREATE INDEX ledger_open ON ledger (execution) WHERE ended_at IS NULL;

-- Whether a simulated model answered any call of the task.
ALTER TABLE tasks ADD COLUMN simulated INTEGER NOT NULL DEFAULT 0;
