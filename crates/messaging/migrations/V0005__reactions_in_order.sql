-- The change that brought the emoji: reactions are shown in the order in which they came.
-- lock: ACCESS EXCLUSIVE for a moment; the default is a constant, so no row is written.
ALTER TABLE messaging.reaction_counts ADD COLUMN since bigint NOT NULL DEFAULT 0;
