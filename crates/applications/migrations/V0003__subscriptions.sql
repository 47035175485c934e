-- Who wants to be told of which events, and where: an application or a community.
CREATE TABLE applications.subscriptions (
  id bigint PRIMARY KEY,
  application_id bigint REFERENCES applications.applications (id),
  community_id bigint,
  creator_id bigint NOT NULL,
  url text NOT NULL CHECK (char_length(url) <= 2048),
  description text NOT NULL DEFAULT '' CHECK (char_length(description) <= 200),
  events text[] NOT NULL,
  secret_enc bytea NOT NULL,
  secret_kek text NOT NULL,               -- by which key, both secrets
  old_secret_enc bytea,                   -- signs too, for a while after a rotation
  old_secret_until timestamptz,
  failing_since timestamptz,              -- the first failure after the last success
  disabled_at timestamptz,
  disabled_reason text,
  version int NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  CHECK ((application_id IS NULL) <> (community_id IS NULL))
);
CREATE INDEX subscriptions_application ON applications.subscriptions (application_id, id)
  WHERE application_id IS NOT NULL;
CREATE INDEX subscriptions_community ON applications.subscriptions (community_id, id)
  WHERE community_id IS NOT NULL;

-- One event on its way to one address. `data` names things and never holds their text, so that what
-- is deleted before it was sent is never sent.
CREATE TABLE applications.deliveries (
  id bigint PRIMARY KEY,
  subscription_id bigint NOT NULL REFERENCES applications.subscriptions (id) ON DELETE CASCADE,
  event_id bigint NOT NULL,
  event text NOT NULL,
  data jsonb NOT NULL,
  at timestamptz NOT NULL,                -- when it happened
  state smallint NOT NULL DEFAULT 0,      -- 0 waits, 1 delivered, 2 failed, 3 dropped
  attempts int NOT NULL DEFAULT 0,        -- in all
  tries int NOT NULL DEFAULT 0,           -- since it last began: its place in the schedule
  due_at timestamptz NOT NULL,            -- of one that waits; later while somebody sends it
  UNIQUE (subscription_id, event_id)
);
CREATE INDEX deliveries_due ON applications.deliveries (subscription_id, due_at) WHERE state = 0;
CREATE INDEX deliveries_subscription ON applications.deliveries (subscription_id, id);
CREATE INDEX deliveries_at ON applications.deliveries (at);

CREATE TABLE applications.delivery_attempts (
  delivery_id bigint NOT NULL REFERENCES applications.deliveries (id) ON DELETE CASCADE,
  number int NOT NULL,
  at timestamptz NOT NULL,
  duration_ms int NOT NULL,
  status int,                             -- of the answer, if there was one
  error text,                             -- why there was none
  answer text NOT NULL DEFAULT '',        -- its first bytes
  PRIMARY KEY (delivery_id, number)
);
