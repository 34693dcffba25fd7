-- What was said long ago in a session, summed up by a model, and the checkpoint up to which it was. Beside the session, so
-- that it goes when that goes.
ALTER TABLE sessions ADD COLUMN summary TEXT;
ALTER TABLE sessions ADD COLUMN summary_until INTEGER NOT NULL DEFAULT 0;
