-- Who a user is, and which logins they hold.
CREATE TABLE identity.users (
  id                  bigint PRIMARY KEY,
  kind                text NOT NULL DEFAULT 'user' CHECK (kind IN ('user', 'bot', 'system')),
  phone_number        text UNIQUE,                      -- E.164
  email               text,
  email_key           text UNIQUE,                      -- ASCII-lowered by the program: a lower() under a Turkish collation turns I into ı
  username            text NOT NULL UNIQUE CHECK (username ~ '^[a-z0-9_.]{2,32}$'),
  display_name        text NOT NULL,
  profile_picture_url text,
  about               text,
  locale              text NOT NULL DEFAULT 'tr',
  state               text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled', 'deleting', 'erased')),
  perm_version        int NOT NULL DEFAULT 1,           -- raised with every change of roles
  version             int NOT NULL DEFAULT 1,
  phone_verified_at   timestamptz,
  email_verified_at   timestamptz,
  created_at          timestamptz NOT NULL DEFAULT now(),
  updated_at          timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE identity.user_devices (
  id                      bigint PRIMARY KEY,
  user_id                 bigint NOT NULL REFERENCES identity.users,
  kind                    text NOT NULL CHECK (kind IN ('token', 'browser', 'support')),
  refresh_token_hash      bytea NOT NULL UNIQUE CHECK (octet_length(refresh_token_hash) = 32),  -- SHA-256 of the refresh token or cookie; 'support' = impersonation, random
  generation              int NOT NULL DEFAULT 1,
  last_attempt_id         text,
  cur_jti                 bigint,
  cur_iat                 bigint,
  cur_exp                 bigint,
  cur_kid                 text,
  expires_at              timestamptz NOT NULL,
  absolute_expires_at     timestamptz NOT NULL,
  device_name             text,
  device_type             text,
  push_notification_token text,
  amr                     text[] NOT NULL,
  auth_time               timestamptz NOT NULL,
  act_user_id             bigint,
  ip                      inet,
  user_agent              text,
  last_login_at           timestamptz NOT NULL,
  rotated_at              timestamptz,
  last_seen_at            timestamptz,
  revoked_at              timestamptz,
  revoke_reason           text,
  created_at              timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, refresh_token_hash)                  -- also the index of "the devices of a user"
);
CREATE INDEX ON identity.user_devices (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX ON identity.user_devices (absolute_expires_at);

-- Refresh tokens that were exchanged, so that a second use can be told from garbage.
-- Purged when the device's absolute_expires_at has passed.
CREATE TABLE identity.spent_refresh (
  refresh_token_hash bytea PRIMARY KEY,
  device_id          bigint NOT NULL REFERENCES identity.user_devices ON DELETE CASCADE,
  generation         int NOT NULL,
  spent_at           timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON identity.spent_refresh (device_id);
