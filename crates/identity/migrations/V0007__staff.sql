-- What staff do to accounts, why, and on whose word; texts that people agree to.
CREATE TABLE identity.staff_actions (
  id       bigint PRIMARY KEY,
  user_id  bigint NOT NULL REFERENCES identity.users,
  staff_id bigint NOT NULL,                             -- stays when the member of staff is erased
  action   text NOT NULL CHECK (action IN ('disable', 'enable', 'sign_out', 'reset', 'roles')),
  reason   text NOT NULL,
  at       timestamptz NOT NULL
);
CREATE INDEX ON identity.staff_actions (user_id, id);

-- One row per wish to act as a user; its id is the id of the device that may come of it.
CREATE TABLE identity.impersonations (
  id             bigint PRIMARY KEY,
  staff_id       bigint NOT NULL REFERENCES identity.users,
  user_id        bigint NOT NULL REFERENCES identity.users,
  reason         text NOT NULL,
  needs_approval boolean NOT NULL,
  asked_at       timestamptz NOT NULL,
  approved_by    bigint,
  approved_at    timestamptz,
  started_at     timestamptz,
  CHECK (approved_by IS DISTINCT FROM staff_id),
  CHECK ((approved_by IS NULL) = (approved_at IS NULL))
);
CREATE INDEX ON identity.impersonations (staff_id, id);
CREATE INDEX ON identity.impersonations (user_id, id);

-- lock: api_keys, ACCESS EXCLUSIVE; nothing has written a row before this release
ALTER TABLE identity.api_keys
  ADD CONSTRAINT api_keys_secret_hash_key UNIQUE (secret_hash);

-- What people agree to. A published text never changes; the newest of a purpose is the current one.
CREATE TABLE identity.consent_texts (
  purpose      text NOT NULL CHECK (purpose ~ '^[a-z][a-z0-9_]{0,63}$'),
  version      text NOT NULL,
  hash         bytea NOT NULL CHECK (octet_length(hash) = 32),  -- SHA-256 of both languages, see `consents.rs`
  tr           text NOT NULL,
  en           text NOT NULL,
  published_by bigint NOT NULL,
  published_at timestamptz NOT NULL,
  PRIMARY KEY (purpose, version)
);
CREATE INDEX ON identity.consent_texts (purpose, published_at DESC);
