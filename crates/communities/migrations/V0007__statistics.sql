-- A row per community and day, and one per week of joining and week since: small, and nothing about
-- single people.
CREATE TABLE communities.statistics_days (
  community_id bigint NOT NULL REFERENCES communities.communities (id) ON DELETE CASCADE,
  day date NOT NULL,                    -- UTC
  joins int NOT NULL DEFAULT 0,
  leaves int NOT NULL DEFAULT 0,
  messages int NOT NULL DEFAULT 0,
  writers int NOT NULL DEFAULT 0,       -- members who wrote at least once
  PRIMARY KEY (community_id, day)
);
CREATE INDEX statistics_days_day ON communities.statistics_days (day);

CREATE TABLE communities.statistics_weeks (
  community_id bigint NOT NULL REFERENCES communities.communities (id) ON DELETE CASCADE,
  joined_week date NOT NULL,            -- its Monday
  week smallint NOT NULL,               -- weeks since; 0 is the same week
  writers int NOT NULL DEFAULT 0,
  PRIMARY KEY (community_id, joined_week, week)
);
CREATE INDEX statistics_weeks_joined ON communities.statistics_weeks (joined_week);
