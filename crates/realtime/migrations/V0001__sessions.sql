-- Sessions that a stopping node leaves to its successor: the ring of events that may have to be
-- sent again, and what IDENTIFY settled. Rows live for minutes.
CREATE TABLE realtime.spilled_rings (
  session_id text PRIMARY KEY,
  user_id bigint NOT NULL,
  data jsonb NOT NULL,
  spilled_at timestamptz NOT NULL
);
CREATE INDEX ON realtime.spilled_rings (spilled_at);

-- When a user was last connected; written in batches once presence is served.
CREATE TABLE realtime.last_seen (
  user_id bigint PRIMARY KEY,
  seen_at timestamptz NOT NULL
);
