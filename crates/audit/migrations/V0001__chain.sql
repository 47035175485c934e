-- What happened and must not be rewritten: a chain of hashes over the bytes of events.

-- Events that arrived and are not in the chain yet. One sealer empties it every second.
CREATE TABLE audit.staged (
  event_id  bigint PRIMARY KEY,
  chain     bigint NOT NULL,                            -- the gallery; 0 = the platform
  body      bytea NOT NULL,                             -- the event as JSON; hashed and stored as these very bytes
  subject   bigint,                                     -- the user it is about
  staged_at timestamptz NOT NULL
);
CREATE INDEX ON audit.staged (chain, event_id);

CREATE TABLE audit.entries (
  chain    bigint NOT NULL,
  seq      bigint NOT NULL CHECK (seq > 0),
  event_id bigint NOT NULL UNIQUE,
  body     bytea NOT NULL,
  prev     bytea NOT NULL,                              -- hash of the entry before; empty at the first
  hash     bytea NOT NULL CHECK (octet_length(hash) = 32),  -- sha256(prev || int8send(chain) || int8send(seq) || body)
  PRIMARY KEY (chain, seq)
);

-- Where each chain ends: a cut tail is seen by it. `mac` needs a key that is not in the database.
CREATE TABLE audit.heads (
  chain bigint PRIMARY KEY,
  seq   bigint NOT NULL,
  hash  bytea NOT NULL,
  mac   bytea NOT NULL
);

-- How entries are found. Only a view of them: what is shown and verified are the bodies.
CREATE TABLE audit.finds (
  chain   bigint NOT NULL,
  seq     bigint NOT NULL,
  kind    text NOT NULL,
  actor   bigint,
  subject bigint,
  PRIMARY KEY (chain, seq)
);
CREATE INDEX ON audit.finds (subject, seq DESC) WHERE chain = 0;
CREATE INDEX ON audit.finds (actor, seq DESC) WHERE chain = 0;
CREATE INDEX ON audit.finds (kind, seq DESC) WHERE chain = 0;
