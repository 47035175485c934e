CREATE TABLE media.assets (
  id bigint PRIMARY KEY,
  owner_id bigint NOT NULL,               -- 0 = erased
  state text NOT NULL CHECK (state IN ('receiving', 'waiting', 'ready', 'removed')),
  folder text NOT NULL UNIQUE,            -- random; its objects are in it
  file_name text NOT NULL CHECK (char_length(file_name) <= 128),
  declared_type text NOT NULL,
  size_bytes bigint NOT NULL CHECK (size_bytes >= 0),       -- announced, then of what is served
  offset_bytes bigint NOT NULL DEFAULT 0 CHECK (offset_bytes BETWEEN 0 AND size_bytes),
  expected_sha256 bytea CHECK (octet_length(expected_sha256) = 32),
  sha256 bytea CHECK (octet_length(sha256) = 32),           -- of what was uploaded
  content_type text,                      -- what it is, once it is whole
  object text,                            -- which object of the folder is served
  width int,
  height int,
  placeholder text,
  thumbnail text,                         -- which object is a small picture of it
  place_kind smallint,                    -- 1 message, 2 avatar, 3 icon
  place_id bigint,
  channel_id bigint,
  community_id bigint,
  picture_hash text,
  claimed_at timestamptz,
  lease_id bigint,                        -- who writes or works at it
  leased_until timestamptz,
  tries int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  expires_at timestamptz,                 -- NULL = it stays
  CHECK ((place_kind IS NULL) = (place_id IS NULL))
);
CREATE INDEX assets_owner ON media.assets (owner_id);
CREATE INDEX assets_place ON media.assets (place_kind, place_id) WHERE place_kind IS NOT NULL;
CREATE INDEX assets_channel ON media.assets (channel_id) WHERE channel_id IS NOT NULL;
CREATE INDEX assets_community ON media.assets (community_id) WHERE community_id IS NOT NULL;
CREATE INDEX assets_expiry ON media.assets (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX assets_work ON media.assets (state, id) WHERE state <> 'ready';

-- What was received of an unfinished upload; each is an object of the folder.
CREATE TABLE media.parts (
  asset_id bigint NOT NULL REFERENCES media.assets (id) ON DELETE CASCADE,
  start_bytes bigint NOT NULL,
  size_bytes bigint NOT NULL CHECK (size_bytes > 0),
  lease_id bigint NOT NULL,               -- part of the object's name
  PRIMARY KEY (asset_id, start_bytes)
);
