-- Which keys a tenant's journals are sealed under; the keys themselves are files. A key that was destroyed stays
-- listed, so that what was written under it is known to be erased, and not damaged.
CREATE TABLE tenant_keys (
    tenant     TEXT NOT NULL,
    generation INTEGER NOT NULL,
    id         TEXT NOT NULL,
    made_at    INTEGER NOT NULL,
    erased_at  INTEGER,
    PRIMARY KEY (tenant, generation)
) WITHOUT ROWID;

-- Large arguments and answers, once per tenant by keyed digest. A cell that names one begins with the byte 2 and holds
-- the digest in its bytes 30 to 61; `refs` counts those cells.
CREATE TABLE contents (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    digest BLOB NOT NULL,
    refs   INTEGER NOT NULL,
    bytes  BLOB NOT NULL,
    UNIQUE (tenant, digest)
);

-- Executions of tasks are removed by age, too.
CREATE INDEX executions_of_tasks ON executions (started_at) WHERE task IS NOT NULL;

CREATE TRIGGER contents_of_step AFTER DELETE ON steps
WHEN substr(OLD.arguments, 1, 1) = x'02' OR substr(OLD.answer, 1, 1) = x'02'
BEGIN
    UPDATE contents SET refs = refs - 1
    WHERE substr(OLD.arguments, 1, 1) = x'02' AND tenant = OLD.tenant AND digest = substr(OLD.arguments, 30, 32);
    UPDATE contents SET refs = refs - 1
    WHERE substr(OLD.answer, 1, 1) = x'02' AND tenant = OLD.tenant AND digest = substr(OLD.answer, 30, 32);
    DELETE FROM contents
    WHERE tenant = OLD.tenant AND refs <= 0
        AND digest IN (substr(OLD.arguments, 30, 32), substr(OLD.answer, 30, 32));
END;

CREATE TRIGGER contents_of_invocation AFTER DELETE ON invocations
WHEN substr(OLD.input, 1, 1) = x'02' OR substr(OLD.result, 1, 1) = x'02'
BEGIN
    UPDATE contents SET refs = refs - 1
    WHERE substr(OLD.input, 1, 1) = x'02' AND tenant = OLD.tenant AND digest = substr(OLD.input, 30, 32);
    UPDATE contents SET refs = refs - 1
    WHERE substr(OLD.result, 1, 1) = x'02' AND tenant = OLD.tenant AND digest = substr(OLD.result, 30, 32);
    DELETE FROM contents
    WHERE tenant = OLD.tenant AND refs <= 0
        AND digest IN (substr(OLD.input, 30, 32), substr(OLD.result, 30, 32));
END;

-- An invocation may end twice: before and after a restart.
CREATE TRIGGER contents_of_ending AFTER UPDATE OF result ON invocations
WHEN substr(OLD.result, 1, 1) = x'02'
BEGIN
    UPDATE contents SET refs = refs - 1 WHERE tenant = OLD.tenant AND digest = substr(OLD.result, 30, 32);
    DELETE FROM contents WHERE tenant = OLD.tenant AND refs <= 0 AND digest = substr(OLD.result, 30, 32);
END;
