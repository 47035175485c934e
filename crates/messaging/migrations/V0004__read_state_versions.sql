-- The number of a state's last change: two devices that hear of two changes the other way round
-- agree on the newer one.
-- lock: ACCESS EXCLUSIVE for a moment; the default is a constant, so no row is written.
ALTER TABLE messaging.read_states ADD COLUMN version bigint NOT NULL DEFAULT 0;
