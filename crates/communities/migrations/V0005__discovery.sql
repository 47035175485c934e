-- Communities that anybody may find: a row while they are public. The number of members is brought
-- up to date from time to time, so that pages stay in order.
CREATE TABLE communities.discoverable (
  community_id bigint PRIMARY KEY REFERENCES communities.communities (id) ON DELETE CASCADE,
  language text NOT NULL,               -- first part of the language tag, lower case
  words tsvector NOT NULL,              -- folded words of name, tags and description
  member_count int NOT NULL,
  listed_at timestamptz NOT NULL
);
CREATE INDEX discoverable_words ON communities.discoverable USING gin (words);
CREATE INDEX discoverable_members ON communities.discoverable (member_count, community_id);
CREATE INDEX discoverable_listed ON communities.discoverable (listed_at, community_id);
