-- An attempt at a provider is an entry of its own: with whom, and with which model.
ALTER TABLE ledger ADD COLUMN provider TEXT;
ALTER TABLE ledger ADD COLUMN model TEXT;
