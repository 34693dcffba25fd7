-- The server's own numbers over time, for the admin page: the samples of a minute (grain 1) of the last 24 h, those of half an hour
-- (grain 2) of the last 30 days (domain/samples.rs). Nothing in them is about anybody. What is counted is counted since the sample before.
CREATE TABLE samples (
    grain               INTEGER NOT NULL CHECK (grain IN (1, 2)),
    began_at            INTEGER NOT NULL,
    free_bytes          INTEGER,
    database_bytes      INTEGER,
    log_bytes           INTEGER,
    audio_bytes         INTEGER,
    backup_bytes        INTEGER,
    resident_bytes      INTEGER,
    sessions            INTEGER,
    checkpoints         INTEGER,
    memories            INTEGER,
    persons             INTEGER,
    open_connections    INTEGER,
    voice_sockets       INTEGER,
    turns               INTEGER,
    requests            INTEGER,
    failed_requests     INTEGER,
    refused_too_large   INTEGER,
    refused_too_slow    INTEGER,
    refused_too_often   INTEGER,
    refused_not_let_in  INTEGER,
    refused_busy        INTEGER,
    refused_disk_full   INTEGER,
    refused_connections INTEGER,
    static_not_modified INTEGER,
    static_sent         INTEGER,
    PRIMARY KEY (grain, began_at)
) STRICT, WITHOUT ROWID;

-- Whether a browser has signed in with ADMIN_TOKEN; else it was ACCESS_TOKEN.
ALTER TABLE sign_ins ADD COLUMN admin INTEGER NOT NULL DEFAULT 0 CHECK (admin IN (0, 1));
