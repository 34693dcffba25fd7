-- Conversations brought in from a predecessor. A thread that was brought in once is known for good, by a hash of its id,
-- so that a conversation its person deleted, or that has expired, is not brought back by the next import.
CREATE TABLE imported_threads (
    id         INTEGER PRIMARY KEY,
    thread     BLOB NOT NULL UNIQUE CHECK (length(thread) = 32),
    session_id INTEGER REFERENCES sessions (id) ON DELETE SET NULL
) STRICT;
CREATE INDEX imported_threads_by_session ON imported_threads (session_id) WHERE session_id IS NOT NULL;

-- The person who holds what was brought in for nobody in particular, and whether the operator has seen the token.
CREATE TABLE import_owner (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    person_id INTEGER REFERENCES persons (id) ON DELETE SET NULL,
    told      INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0, 1))
) STRICT;
