-- Browsers that have signed in with ACCESS_TOKEN: a hash of their cookie, in which the token has a part.
CREATE TABLE sign_ins (
    id          INTEGER PRIMARY KEY,
    cookie_hash BLOB NOT NULL UNIQUE CHECK (length(cookie_hash) = 32),
    expires_at  INTEGER NOT NULL
) STRICT;

-- How many turns a person has taken on one day (UTC, in days since 1970), where DAILY_TURNS_PER_PERSON counts them.
-- Counted here and not in the checkpoints: a conversation that is deleted has cost what it has cost.
ALTER TABLE persons ADD COLUMN turns_day INTEGER NOT NULL DEFAULT 0;
ALTER TABLE persons ADD COLUMN turns_on_day INTEGER NOT NULL DEFAULT 0;
