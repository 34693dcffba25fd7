-- Conversations that are being deleted, by their person or because they have expired, as long as some of them is left: they go in portions,
-- are gone for everybody from the first one on, and what a kill interrupts goes on at the next start.
CREATE TABLE deletions (
    session_id    INTEGER PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    keep_memories INTEGER NOT NULL CHECK (keep_memories IN (0, 1))
) STRICT;
