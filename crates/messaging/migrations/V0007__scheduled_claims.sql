-- Until when a node has taken a message to send it: another one takes it up after that.
-- lock: ACCESS EXCLUSIVE for a moment; NULL needs no rewrite.
ALTER TABLE messaging.scheduled_messages ADD COLUMN claimed_until timestamptz;
