CREATE TABLE applications.applications (
  id bigint PRIMARY KEY,                  -- also the id of its bot user
  owner_id bigint NOT NULL,
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 32),
  icon text,
  description text NOT NULL DEFAULT '' CHECK (char_length(description) <= 400),
  bot_public bool NOT NULL DEFAULT true,
  require_code_grant bool NOT NULL DEFAULT false,
  intents bigint NOT NULL DEFAULT 0,      -- privileged intents granted, as gateway bits
  verify_key bytea NOT NULL,              -- Ed25519, public
  signing_key_enc bytea NOT NULL,         -- its private part, wrapped
  signing_kek text NOT NULL,              -- by which key
  version int NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  deleted_at timestamptz,
  retired_at timestamptz                  -- deleted, and its bot is out everywhere
);
CREATE INDEX applications_owner ON applications.applications (owner_id) WHERE deleted_at IS NULL;
CREATE INDEX applications_deleted ON applications.applications (deleted_at)
  WHERE deleted_at IS NOT NULL AND retired_at IS NULL;

CREATE TABLE applications.bot_tokens (
  application_id bigint PRIMARY KEY REFERENCES applications.applications (id),
  token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
  created_at timestamptz NOT NULL
);

CREATE TABLE applications.installs (
  application_id bigint NOT NULL REFERENCES applications.applications (id),
  community_id bigint NOT NULL,
  permissions bigint NOT NULL,
  installer_id bigint NOT NULL,
  installed_at timestamptz NOT NULL,
  PRIMARY KEY (application_id, community_id)
);
CREATE INDEX installs_community ON applications.installs (community_id);
