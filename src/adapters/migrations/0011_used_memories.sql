-- Which memories a reply was given, best first: their public ids, 16 bytes each. NULL: none. One that was forgotten since is there no
-- more, and nobody gets from its id to what it said.
ALTER TABLE checkpoints ADD COLUMN memories BLOB;
