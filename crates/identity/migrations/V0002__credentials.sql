-- What proves a login, and the keys that sign tokens.
CREATE TABLE identity.credentials (
  user_id    bigint NOT NULL REFERENCES identity.users,
  kind       text NOT NULL CHECK (kind IN ('password', 'pin')),
  phc        text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, kind)
);

CREATE TABLE identity.recovery_codes (
  user_id bigint NOT NULL REFERENCES identity.users,
  idx     smallint NOT NULL CHECK (idx BETWEEN 0 AND 9),
  phc     text NOT NULL,
  used_at timestamptz,
  PRIMARY KEY (user_id, idx)
);

CREATE TABLE identity.totp (
  user_id      bigint PRIMARY KEY REFERENCES identity.users,
  seed_enc     bytea NOT NULL,                          -- AES-256-GCM under `kek`, AAD = user id
  key_id       text NOT NULL,
  last_step    bigint NOT NULL DEFAULT 0,               -- the last accepted step; a code works once
  confirmed_at timestamptz,
  created_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE identity.passkeys (
  id              bigint PRIMARY KEY,
  user_id         bigint NOT NULL REFERENCES identity.users,
  cred_id         bytea NOT NULL UNIQUE,
  public_key      bytea NOT NULL,
  sign_count      bigint NOT NULL DEFAULT 0,
  transports      text[] NOT NULL DEFAULT '{}',
  aaguid          bytea,
  backup_eligible boolean NOT NULL DEFAULT false,
  backup_state    boolean NOT NULL DEFAULT false,
  name            text NOT NULL,
  last_used_at    timestamptz,
  created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON identity.passkeys (user_id);

CREATE TABLE identity.otp_challenges (
  id          bigint PRIMARY KEY,
  handle_hash bytea NOT NULL UNIQUE CHECK (octet_length(handle_hash) = 32),
  channel     text NOT NULL CHECK (channel IN ('sms', 'email')),
  purpose     text NOT NULL CHECK (purpose IN ('login', 'verify_contact', 'step_up')),
  user_id     bigint REFERENCES identity.users,         -- who asked, where somebody was logged in
  target_hmac bytea NOT NULL,
  code_mac    bytea NOT NULL,
  attempts    int NOT NULL DEFAULT 0,
  expires_at  timestamptz NOT NULL,
  consumed_at timestamptz,
  ip          inet,
  created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON identity.otp_challenges (target_hmac, created_at);
CREATE INDEX ON identity.otp_challenges (expires_at);

-- The budget of one number or address.
CREATE TABLE identity.otp_targets (
  target_hmac  bytea PRIMARY KEY,
  day          date NOT NULL,
  sends        int NOT NULL DEFAULT 0,
  failures     int NOT NULL DEFAULT 0,
  last_send_at timestamptz
);

-- Links and codes of at least 112 random bits, stored as SHA-256, used once.
CREATE TABLE identity.one_time_tokens (
  token_hash  bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
  purpose     text NOT NULL CHECK (purpose IN ('registration', 'magic', 'reset', 'email_change', 'invite', 'oauth_code', 'setup')),
  user_id     bigint REFERENCES identity.users,
  data        jsonb NOT NULL DEFAULT '{}',
  expires_at  timestamptz NOT NULL,
  consumed_at timestamptz,
  created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON identity.one_time_tokens (expires_at);

CREATE TABLE identity.api_keys (
  id           bigint PRIMARY KEY,
  owner_id     bigint NOT NULL REFERENCES identity.users,
  gallery_id   bigint,
  name         text NOT NULL,
  prefix       text NOT NULL UNIQUE,
  secret_hash  bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
  scopes       text[] NOT NULL,
  expires_at   timestamptz NOT NULL,
  last_used_at timestamptz,
  revoked_at   timestamptz,
  created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON identity.api_keys (owner_id);

-- Never matched on e-mail alone.
CREATE TABLE identity.oidc_identities (
  provider      text NOT NULL,
  subject       text NOT NULL,
  user_id       bigint NOT NULL REFERENCES identity.users,
  email_at_link text,
  linked_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (provider, subject)
);
CREATE INDEX ON identity.oidc_identities (user_id);

-- A key signs from active_from until the next one does; it is published before and after.
CREATE TABLE identity.signing_keys (
  kid          text PRIMARY KEY,
  alg          text NOT NULL CHECK (alg = 'EdDSA'),
  public_key   bytea NOT NULL CHECK (octet_length(public_key) = 32),
  private_enc  bytea NOT NULL,                          -- AES-256-GCM under `kek`, AAD = kid
  key_id       text NOT NULL,
  active_from  timestamptz NOT NULL,
  retires_at   timestamptz NOT NULL,
  drops_at     timestamptz NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  CHECK (active_from < retires_at AND retires_at < drops_at)
);
