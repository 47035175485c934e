-- concurrent
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS reports_once
  ON communities.reports (community_id, reporter_id, message_id) WHERE state = 0;
