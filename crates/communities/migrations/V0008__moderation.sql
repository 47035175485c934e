-- Number of the last change of automatic moderation: compiled rules of another number are void.
-- lock: communities briefly, ACCESS EXCLUSIVE; a constant default rewrites nothing
ALTER TABLE communities.communities ADD COLUMN automod_epoch int NOT NULL DEFAULT 0;

-- The roles of a member in quarantine, to be given back; NULL = not in quarantine.
-- lock: members briefly, ACCESS EXCLUSIVE; a column without a default rewrites nothing
ALTER TABLE communities.members ADD COLUMN quarantined_roles bigint[];
