-- Money by what it is for: autonomy levels count effects, budgets count everything. So far there were only effects.
ALTER TABLE spendings ADD COLUMN kind TEXT NOT NULL DEFAULT 'effect';

-- The budgets under which an entry was reserved, as JSON: what it costs beyond that counts for their warnings, too.
ALTER TABLE ledger ADD COLUMN budgets TEXT;

-- When it was said last that so many percent of a budget are used, and what its limit was then.
CREATE TABLE budget_warnings (
    budget  TEXT NOT NULL,
    scope   TEXT NOT NULL,
    percent INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    most    INTEGER NOT NULL,
    PRIMARY KEY (budget, scope, percent)
) WITHOUT ROWID;
