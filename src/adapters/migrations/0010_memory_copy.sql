-- The copy of the index of memories that is kept in Qdrant. place says where; while there is none, or the copy is to be begun anew
-- (generation NULL), nothing is written to the outbox. owner tells this store's collection from another's, generation this copy from
-- the one before. copied_until is the last row of memories that is in the copy while that is being made; NULL once it is whole. model and
-- dimensions tell which vectors of meanings are in it (0007_vectors.sql); NULL: none.
CREATE TABLE memory_copy (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    owner        BLOB NOT NULL CHECK (length(owner) = 16),
    place        TEXT,
    generation   BLOB CHECK (length(generation) = 16),
    copied_until INTEGER,
    model        INTEGER,
    dimensions   INTEGER,
    CHECK ((model IS NULL) = (dimensions IS NULL))
) STRICT;
INSERT INTO memory_copy (id, owner) VALUES (1, randomblob(16));

-- Changes of the index that the copy does not have yet, in order: where in the index something has changed, and which memory is or was
-- there. What is carried out is how it is then. The age of a row is only ever compared with SQLite's own clock.
CREATE TABLE memory_outbox (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    person_id INTEGER NOT NULL,
    thread    INTEGER NOT NULL,
    said_at   INTEGER NOT NULL,
    memory_id INTEGER NOT NULL,
    public_id BLOB NOT NULL CHECK (length(public_id) = 16),
    noted_at  INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER))
) STRICT;
CREATE INDEX memory_outbox_by_person ON memory_outbox (person_id);

-- Whoever changes a memory, in whichever program, notes it in the same transaction.
CREATE TRIGGER memory_copy_added AFTER INSERT ON memories
WHEN (SELECT generation FROM memory_copy) IS NOT NULL BEGIN
    INSERT INTO memory_outbox (person_id, thread, said_at, memory_id, public_id)
        VALUES (new.person_id, coalesce(new.thread, 0), new.said_at, new.id, new.public_id);
END;
CREATE TRIGGER memory_copy_gone AFTER DELETE ON memories
WHEN (SELECT generation FROM memory_copy) IS NOT NULL BEGIN
    INSERT INTO memory_outbox (person_id, thread, said_at, memory_id, public_id)
        VALUES (old.person_id, coalesce(old.thread, 0), old.said_at, old.id, old.public_id);
END;
CREATE TRIGGER memory_copy_changed AFTER UPDATE OF text, thread, said_at, superseded_at ON memories
WHEN (SELECT generation FROM memory_copy) IS NOT NULL BEGIN
    INSERT INTO memory_outbox (person_id, thread, said_at, memory_id, public_id)
        VALUES (old.person_id, coalesce(old.thread, 0), old.said_at, old.id, old.public_id);
    INSERT INTO memory_outbox (person_id, thread, said_at, memory_id, public_id)
        SELECT new.person_id, coalesce(new.thread, 0), new.said_at, new.id, new.public_id
        WHERE new.thread IS NOT old.thread OR new.said_at <> old.said_at;
END;

-- So is a vector of its meaning, which comes later. The first one of another model than the copy's has the copy begun anew.
CREATE TRIGGER memory_copy_meant AFTER INSERT ON memory_vectors
WHEN (SELECT generation IS NOT NULL AND model IS new.model FROM memory_copy) BEGIN
    INSERT INTO memory_outbox (person_id, thread, said_at, memory_id, public_id)
        SELECT person_id, coalesce(thread, 0), said_at, id, public_id FROM memories WHERE id = new.memory_id;
END;
CREATE TRIGGER memory_copy_of_another_model AFTER INSERT ON memory_vectors
WHEN (SELECT generation IS NOT NULL AND model IS NOT new.model FROM memory_copy) BEGIN
    UPDATE memory_copy SET generation = NULL;
    DELETE FROM memory_outbox;
END;

-- 100,000 changes are more than a new copy of most stores costs: then that is made instead.
CREATE TRIGGER memory_outbox_full AFTER INSERT ON memory_outbox
WHEN new.id - (SELECT min(id) FROM memory_outbox) >= 100000 BEGIN
    UPDATE memory_copy SET generation = NULL;
    DELETE FROM memory_outbox;
END;
