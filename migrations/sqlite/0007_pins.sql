-- What an invocation was given when it started, so that it goes on and is replayed with the same.
ALTER TABLE invocations ADD COLUMN settings TEXT;

-- The last installation of each name that was removed, as JSON: what still runs goes on under it.
CREATE TABLE former_installations (
    name         TEXT PRIMARY KEY,
    installation TEXT NOT NULL
) WITHOUT ROWID;
