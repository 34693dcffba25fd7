-- How further browsers become a person: the tokens of those that have, one-time links, and the recovery code. Of each of these secrets
-- only the SHA-256 is kept. The first browser's token is the person's own.
CREATE TABLE devices (
    id         INTEGER PRIMARY KEY,
    person_id  INTEGER NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    added_at   INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_by_person ON devices (person_id, seen_at);

-- A link that was used stays until it would have expired, so that whoever opens it again is told.
CREATE TABLE links (
    id          INTEGER PRIMARY KEY,
    person_id   INTEGER NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    secret_hash BLOB NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    expires_at  INTEGER NOT NULL,
    used_at     INTEGER
) STRICT;
CREATE INDEX links_by_person ON links (person_id);
CREATE INDEX links_by_expiry ON links (expires_at);

CREATE TABLE recovery_codes (
    person_id INTEGER PRIMARY KEY REFERENCES persons (id) ON DELETE CASCADE,
    code_hash BLOB NOT NULL UNIQUE CHECK (length(code_hash) = 32),
    made_at   INTEGER NOT NULL,
    used_at   INTEGER
) STRICT;
