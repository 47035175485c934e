-- concurrent
CREATE INDEX CONCURRENTLY IF NOT EXISTS members_joined
  ON communities.members (community_id, joined_at);
