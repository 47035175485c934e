-- concurrent
CREATE INDEX CONCURRENTLY IF NOT EXISTS scheduled_messages_author_idx ON messaging.scheduled_messages (author_id, channel_id);
