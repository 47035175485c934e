CREATE TABLE {schema}.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    event_id bigint NOT NULL UNIQUE,
    type text NOT NULL,
    key text NOT NULL,
    actor bigint,
    tenant bigint,
    data jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    retry_at timestamptz
);
CREATE INDEX outbox_waiting ON {schema}.outbox (key) WHERE retry_at IS NOT NULL;

CREATE TABLE {schema}.inbox (
    consumer text NOT NULL,
    event_id bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_at ON {schema}.inbox (at);

CREATE TABLE {schema}.dead_letters (
    consumer text NOT NULL,
    event_id bigint NOT NULL,
    type text NOT NULL,
    key text NOT NULL,
    actor bigint,
    tenant bigint,
    data jsonb NOT NULL,
    at timestamptz NOT NULL,
    attempts integer NOT NULL,
    error text NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);

CREATE TABLE {schema}.idempotency_keys (
    owner_id bigint NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    state text NOT NULL DEFAULT 'started' CHECK (state IN ('started', 'done')),
    status smallint,
    body jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner_id, key)
);
CREATE INDEX idempotency_keys_created_at ON {schema}.idempotency_keys (created_at);
