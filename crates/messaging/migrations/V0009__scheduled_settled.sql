-- concurrent
CREATE INDEX CONCURRENTLY IF NOT EXISTS scheduled_messages_settled_idx ON messaging.scheduled_messages (send_at) WHERE state > 0;
