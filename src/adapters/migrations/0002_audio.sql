-- Audio replies: a row here, a file in the audio directory.
CREATE TABLE audio (
    id         INTEGER PRIMARY KEY,
    public_id  BLOB NOT NULL UNIQUE CHECK (length(public_id) = 16),
    session_id INTEGER NOT NULL REFERENCES sessions (id),
    format     TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX audio_by_session ON audio (session_id);

ALTER TABLE checkpoints ADD COLUMN audio_id INTEGER REFERENCES audio (id) ON DELETE SET NULL;
CREATE INDEX checkpoints_by_audio ON checkpoints (audio_id) WHERE audio_id IS NOT NULL;
