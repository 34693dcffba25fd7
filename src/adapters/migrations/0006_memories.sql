-- What is remembered of people. about names what only one memory can be true of at a time, sameness is a number that those share that say
-- the same (domain/memory/learning.rs). thread is a number that memories share that were said together (domain/memory.rs); it stays when
-- the conversation expires. used counts the replies a memory has helped with: what is of least use goes first when there is no room.
CREATE TABLE memories (
    id            INTEGER PRIMARY KEY,
    public_id     BLOB NOT NULL UNIQUE CHECK (length(public_id) = 16),
    person_id     INTEGER NOT NULL REFERENCES persons (id),
    session_id    INTEGER REFERENCES sessions (id) ON DELETE SET NULL,
    thread        INTEGER,
    text          TEXT NOT NULL,
    source        TEXT,
    said_at       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL,
    superseded_at INTEGER,
    about         TEXT,
    sameness      INTEGER NOT NULL DEFAULT 0,
    used          INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX memories_by_person ON memories (person_id, created_at, public_id);
CREATE INDEX memories_by_use ON memories (person_id, superseded_at IS NULL, used, said_at);
CREATE INDEX memories_by_session ON memories (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX memories_by_change ON memories (changed_at);
CREATE INDEX memories_by_about ON memories (person_id, about) WHERE about IS NOT NULL AND superseded_at IS NULL;
CREATE INDEX memories_by_sameness ON memories (person_id, sameness);

-- Turns from which something may still be to be learned: written with the turn, gone with what was learned.
CREATE TABLE to_learn (
    checkpoint_id INTEGER PRIMARY KEY REFERENCES checkpoints (id) ON DELETE CASCADE
) STRICT;

-- The index they are found by: of each memory that is not superseded the words that count, as hashes of four bytes. One person's rows
-- lie together, each thread in the order in which it was said, so that a search reads them from one end to the other; thread 0 is of those
-- that stand alone.
CREATE TABLE memory_words (
    person_id INTEGER NOT NULL,
    thread    INTEGER NOT NULL,
    said_at   INTEGER NOT NULL,
    memory_id INTEGER NOT NULL,
    words     BLOB NOT NULL CHECK (length(words) % 4 = 0),
    PRIMARY KEY (person_id, thread, said_at, memory_id)
) STRICT, WITHOUT ROWID;

-- Memories that went because there was no room for more, so that their person is told in the export; of each person the last 1000.
CREATE TABLE memories_dropped (
    id         INTEGER PRIMARY KEY,
    person_id  INTEGER NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    public_id  BLOB NOT NULL CHECK (length(public_id) = 16),
    said_at    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    dropped_at INTEGER NOT NULL
) STRICT;
CREATE INDEX memories_dropped_by_person ON memories_dropped (person_id);

-- How many there are, of a person and in all. Triggers keep these counts and the index, whoever takes a memory away, and why.
ALTER TABLE persons ADD COLUMN memories INTEGER NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN memories INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER memory_added AFTER INSERT ON memories BEGIN
    UPDATE persons SET memories = memories + 1 WHERE id = new.person_id;
    UPDATE totals SET memories = memories + 1;
END;
CREATE TRIGGER memory_gone AFTER DELETE ON memories BEGIN
    DELETE FROM memory_words WHERE person_id = old.person_id AND thread = coalesce(old.thread, 0)
        AND said_at = old.said_at AND memory_id = old.id;
    UPDATE persons SET memories = memories - 1 WHERE id = old.person_id;
    UPDATE totals SET memories = memories - 1;
END;
