-- What operators wrote of what is judged how, each version as it was written; the newest counts. None is removed, so
-- that it can be told under which a decision was judged.
CREATE TABLE policies (
    generation INTEGER PRIMARY KEY,
    digest     TEXT NOT NULL,
    text       TEXT NOT NULL,
    source     TEXT NOT NULL,
    put_by     TEXT NOT NULL,
    put_at     INTEGER NOT NULL
);
