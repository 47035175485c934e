-- When a member last wrote, to the day at least; NULL = never. Prunes look at it. Who is a member now
-- counts as active: what they wrote before was not kept.
-- lock: members briefly, ACCESS EXCLUSIVE; a constant default rewrites nothing
ALTER TABLE communities.members ADD COLUMN wrote_at timestamptz DEFAULT now();
-- lock: members briefly, ACCESS EXCLUSIVE; only the catalog changes
ALTER TABLE communities.members ALTER COLUMN wrote_at DROP DEFAULT;
