-- An application and its bot user bear one id. `deleted_at` keeps the row, because events and
-- installs of the past name it.
CREATE TABLE applications.applications (
  id bigint PRIMARY KEY,
  owner_id bigint NOT NULL,
  name text NOT NULL,
  description text NOT NULL DEFAULT '',
  icon text,
  -- Ed25519: what interactions over HTTP are signed with. The private half is AES-256-GCM.
  public_key bytea NOT NULL CHECK (octet_length(public_key) = 32),
  private_key_enc bytea NOT NULL,
  key_id text NOT NULL,
  -- Privileged gateway intents, as their bits.
  granted_intents bigint NOT NULL,
  version int NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  deleted_at timestamptz
);
CREATE INDEX ON applications.applications (owner_id, id) WHERE deleted_at IS NULL;

-- Exactly one token is valid at a time; only its SHA-256 is kept.
CREATE TABLE applications.bot_tokens (
  token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
  application_id bigint NOT NULL UNIQUE REFERENCES applications.applications,
  created_at timestamptz NOT NULL
);

-- How many applications an owner has: raised and checked in one statement.
CREATE TABLE applications.owners (
  owner_id bigint PRIMARY KEY,
  applications int NOT NULL CHECK (applications >= 0)
);

-- Where applications were installed, as far as was asked of us; the members are communities' own.
CREATE TABLE applications.installs (
  application_id bigint NOT NULL REFERENCES applications.applications,
  community_id bigint NOT NULL,
  installed_by bigint NOT NULL,
  permissions bigint NOT NULL,
  installed_at timestamptz NOT NULL,
  PRIMARY KEY (application_id, community_id)
);
