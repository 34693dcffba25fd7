-- What memories mean, as numbers (domain/embedding.rs), of each that is found one vector. Vectors of different models cannot be compared, so each
-- says whose it is; the model that was set last has the greatest number.
CREATE TABLE embedding_models (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL
) STRICT;
CREATE TABLE memory_vectors (
    memory_id INTEGER PRIMARY KEY REFERENCES memories (id) ON DELETE CASCADE,
    model     INTEGER NOT NULL REFERENCES embedding_models (id),
    vector    BLOB NOT NULL CHECK (length(vector) % 4 = 0)
) STRICT;

-- The model that a memory's vector was last asked of; 0: none. It may have refused the text, then there is no vector.
ALTER TABLE memories ADD COLUMN embedded INTEGER NOT NULL DEFAULT 0;
CREATE INDEX memories_to_embed ON memories (embedded) WHERE superseded_at IS NULL;

-- A vector tells of its text, so it goes when that does, whoever changes it.
CREATE TRIGGER memory_reworded AFTER UPDATE OF text ON memories WHEN new.text <> old.text BEGIN
    DELETE FROM memory_vectors WHERE memory_id = old.id;
    UPDATE memories SET embedded = 0 WHERE id = old.id;
END;
CREATE TRIGGER memory_superseded AFTER UPDATE OF superseded_at ON memories WHEN new.superseded_at IS NOT NULL BEGIN
    DELETE FROM memory_vectors WHERE memory_id = old.id;
    UPDATE memories SET embedded = 0 WHERE id = old.id;
END;

-- What the person wanted forgotten between a turn and what is learned from it, one a line: what tells it again is not kept.
ALTER TABLE to_learn ADD COLUMN but_not TEXT;
