-- concurrent
CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_entries_actor
  ON communities.audit_entries (community_id, actor_id, id);
