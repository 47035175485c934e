-- Addresses by which programs write into channels. The token is its only proof; encrypted besides,
-- because those who may manage webhooks are shown it again.
CREATE TABLE applications.webhooks (
  id bigint PRIMARY KEY,
  community_id bigint NOT NULL,
  channel_id bigint NOT NULL,
  creator_id bigint NOT NULL,
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 80),
  avatar text,
  token_sha256 bytea NOT NULL CHECK (octet_length(token_sha256) = 32),
  token_enc bytea NOT NULL,
  token_kek text NOT NULL,                -- by which key
  version int NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL
);
CREATE INDEX webhooks_channel ON applications.webhooks (channel_id, id);
CREATE INDEX webhooks_community ON applications.webhooks (community_id, id);
