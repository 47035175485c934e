-- What a user may do on the platform, whom they know, and what becomes of their data.
CREATE TABLE identity.platform_roles (
  user_id    bigint NOT NULL REFERENCES identity.users,
  role       text NOT NULL CHECK (role IN ('superadmin', 'support', 'moderator', 'finance')),
  granted_by bigint,                                    -- NULL: by the operator of the machine
  granted_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, role)
);
CREATE INDEX ON identity.platform_roles (role);

CREATE TABLE identity.relationships (
  user_id  bigint NOT NULL REFERENCES identity.users,
  other_id bigint NOT NULL REFERENCES identity.users,
  kind     text NOT NULL CHECK (kind IN ('contact', 'friend', 'pending_in', 'pending_out', 'block')),
  name     text,
  since    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, other_id),
  CHECK (user_id <> other_id)
);
CREATE INDEX ON identity.relationships (other_id);

CREATE TABLE identity.privacy (
  user_id       bigint PRIMARY KEY REFERENCES identity.users,
  who_may_write text NOT NULL DEFAULT 'everyone' CHECK (who_may_write IN ('everyone', 'contacts', 'nobody')),
  find_by_phone text NOT NULL DEFAULT 'contacts' CHECK (find_by_phone IN ('everyone', 'contacts', 'nobody')),
  last_seen     text NOT NULL DEFAULT 'contacts' CHECK (last_seen IN ('everyone', 'contacts', 'nobody')),
  receipts      text NOT NULL DEFAULT 'everyone' CHECK (receipts IN ('everyone', 'contacts', 'nobody')),
  updated_at    timestamptz NOT NULL DEFAULT now()
);

-- One row per grant; a withdrawn one stays as the proof of both.
CREATE TABLE identity.consents (
  user_id      bigint NOT NULL REFERENCES identity.users,
  purpose      text NOT NULL,
  text_version text NOT NULL,
  text_hash    bytea CHECK (octet_length(text_hash) = 32),  -- NULL: the text is not one of ours
  granted_at   timestamptz NOT NULL,
  withdrawn_at timestamptz,
  PRIMARY KEY (user_id, purpose, granted_at)
);
CREATE UNIQUE INDEX ON identity.consents (user_id, purpose) WHERE withdrawn_at IS NULL;

CREATE TABLE identity.exports (
  id          bigint PRIMARY KEY,
  user_id     bigint NOT NULL REFERENCES identity.users,
  state       text NOT NULL CHECK (state IN ('waiting', 'running', 'ready', 'failed', 'expired')),
  due_at      timestamptz NOT NULL,
  object_key  text,
  expires_at  timestamptz,
  created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX ON identity.exports (user_id) WHERE state IN ('waiting', 'running');

CREATE TABLE identity.erasures (
  id         bigint PRIMARY KEY,
  user_id    bigint NOT NULL REFERENCES identity.users,
  state      text NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'cancelled')),
  due_at     timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX ON identity.erasures (user_id) WHERE state IN ('waiting', 'running');

CREATE TABLE identity.erasure_acks (
  erasure_id bigint NOT NULL REFERENCES identity.erasures ON DELETE CASCADE,
  context    text NOT NULL,
  acked_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (erasure_id, context)
);
