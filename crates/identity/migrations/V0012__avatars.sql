-- lock: brief; a column without a default rewrites nothing
ALTER TABLE identity.users ADD COLUMN avatar text;   -- hash of the picture, as media's addresses have it
