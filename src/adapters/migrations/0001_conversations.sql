-- Persons, sessions, checkpoints, and the record of maintenance.
-- Tables are keyed by integers that grow with time, so that what expires together lies together; the random public ids are columns.
PRAGMA application_id = 1129270608;

CREATE TABLE persons (
    id           INTEGER PRIMARY KEY,
    public_id    BLOB NOT NULL UNIQUE CHECK (length(public_id) = 16),
    token_hash   BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL
) STRICT;
CREATE INDEX persons_by_last_seen ON persons (last_seen_at);

CREATE TABLE sessions (
    id             INTEGER PRIMARY KEY,
    public_id      BLOB NOT NULL UNIQUE CHECK (length(public_id) = 16),
    person_id      INTEGER NOT NULL REFERENCES persons (id),
    title          TEXT,
    pinned         INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)),
    remembered     INTEGER NOT NULL DEFAULT 1 CHECK (remembered IN (0, 1)),
    created_at     INTEGER NOT NULL,
    last_active_at INTEGER NOT NULL,
    checkpoints    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX sessions_by_person ON sessions (person_id, last_active_at, public_id);
CREATE INDEX sessions_by_activity ON sessions (last_active_at) WHERE pinned = 0;
CREATE INDEX sessions_pinned ON sessions (last_active_at) WHERE pinned = 1;
CREATE INDEX sessions_unremembered ON sessions (last_active_at) WHERE pinned = 0 AND remembered = 0;

-- One committed turn. turn_id is the client's, so that a turn sent twice is kept once.
CREATE TABLE checkpoints (
    id          INTEGER PRIMARY KEY,
    session_id  INTEGER NOT NULL REFERENCES sessions (id),
    public_id   BLOB NOT NULL CHECK (length(public_id) = 16),
    turn_id     BLOB CHECK (length(turn_id) = 16),
    said        TEXT NOT NULL,
    answered    TEXT NOT NULL,
    said_at     INTEGER NOT NULL,
    answered_at INTEGER NOT NULL
) STRICT;
CREATE INDEX checkpoints_by_session ON checkpoints (session_id);
CREATE UNIQUE INDEX checkpoints_by_turn ON checkpoints (session_id, turn_id) WHERE turn_id IS NOT NULL;

-- How many there are, kept by every transaction that changes it: counting millions of rows would take longer than deleting a few.
CREATE TABLE totals (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    sessions    INTEGER NOT NULL,
    checkpoints INTEGER NOT NULL
) STRICT;
INSERT INTO totals (id, sessions, checkpoints) VALUES (1, 0, 0);

CREATE TABLE maintenance_runs (
    id         INTEGER PRIMARY KEY,
    job        TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    outcome    TEXT NOT NULL,
    report     TEXT
) STRICT;
CREATE INDEX maintenance_runs_by_job ON maintenance_runs (job, started_at);
