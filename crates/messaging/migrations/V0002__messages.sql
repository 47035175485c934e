-- Messages by month of their snowflake. Within a partition (channel_id, seq) is unique; across
-- partitions the row lock on the channel's counters keeps it so.
CREATE TABLE messaging.messages (
    channel_id bigint NOT NULL,
    id bigint NOT NULL,
    seq bigint NOT NULL,
    ev bigint NOT NULL,
    author_id bigint NOT NULL,
    kind smallint NOT NULL DEFAULT 0,
    flags integer NOT NULL DEFAULT 0,
    reply_to bigint,
    content text,
    ciphertext bytea,
    body jsonb,
    edited_at timestamptz,
    deleted_at timestamptz,
    expires_at timestamptz,
    PRIMARY KEY (channel_id, id)
) PARTITION BY RANGE (id);
CREATE INDEX messages_author_id_idx ON messaging.messages (author_id, id DESC);
CREATE INDEX messages_expires_at_idx ON messaging.messages (expires_at)
    WHERE expires_at IS NOT NULL AND deleted_at IS NULL;

-- What a sender called a message: the guard against doubles, for two days.
CREATE TABLE messaging.message_nonces (
    author_id bigint NOT NULL,
    channel_id bigint NOT NULL,
    nonce text NOT NULL,
    day date NOT NULL,
    message_id bigint NOT NULL,
    PRIMARY KEY (author_id, channel_id, nonce, day)
) PARTITION BY RANGE (day);

-- Every change but creations. The payload names things and never holds their text, so that a
-- deletion leaves nothing behind in here.
CREATE TABLE messaging.channel_events (
    channel_id bigint NOT NULL,
    ev bigint NOT NULL,
    id bigint NOT NULL,
    kind smallint NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (channel_id, ev, id)
) PARTITION BY RANGE (id);

-- A row in one of these is an alarm: it blocks making the right partition.
CREATE TABLE messaging.messages_default PARTITION OF messaging.messages DEFAULT;
CREATE UNIQUE INDEX messages_default_channel_id_seq_key ON messaging.messages_default (channel_id, seq);
CREATE TABLE messaging.message_nonces_default PARTITION OF messaging.message_nonces DEFAULT;
CREATE TABLE messaging.channel_events_default PARTITION OF messaging.channel_events DEFAULT;

-- The application makes and drops partitions itself, so it owns these three tables and may create
-- in this schema; all else stays with the migrating role. The functions run with the rights of
-- whoever calls them: nothing here lends rights.
-- Giving a table away takes membership of the role that gets it, which only the session's own role
-- can grant.
RESET ROLE;
GRANT messaging_app TO messaging_owner;
SET LOCAL ROLE messaging_owner;
GRANT CREATE ON SCHEMA messaging TO messaging_app;
ALTER TABLE messaging.messages OWNER TO messaging_app;
ALTER TABLE messaging.messages_default OWNER TO messaging_app;
ALTER TABLE messaging.message_nonces OWNER TO messaging_app;
ALTER TABLE messaging.message_nonces_default OWNER TO messaging_app;
ALTER TABLE messaging.channel_events OWNER TO messaging_app;
ALTER TABLE messaging.channel_events_default OWNER TO messaging_app;

-- The lowest snowflake of a day in UTC.
CREATE FUNCTION messaging.snowflake_floor(day date) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT (extract(epoch FROM day::timestamp)::bigint * 1000 - 1420070400000) << 22 $$;

-- Makes one partition unless it is there. It is built apart and then attached, because that takes
-- a weaker lock on the parent than making it in place.
CREATE FUNCTION messaging.make_partition(parent text, part text, low text, high text)
    RETURNS integer
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF to_regclass(format('messaging.%I', part)) IS NOT NULL THEN
        RETURN 0;
    END IF;
    EXECUTE format('CREATE TABLE messaging.%I (LIKE messaging.%I INCLUDING ALL)', part, parent);
    IF parent = 'messages' THEN
        EXECUTE format('CREATE UNIQUE INDEX %I ON messaging.%I (channel_id, seq)',
            part || '_channel_id_seq_key', part);
    END IF;
    EXECUTE format('ALTER TABLE messaging.%I OWNER TO messaging_app', part);
    EXECUTE format('ALTER TABLE messaging.%I ATTACH PARTITION messaging.%I FOR VALUES FROM (%L) TO (%L)',
        parent, part, low, high);
    RETURN 1;
END $$;

-- Makes what `today` needs: messages of this and the next three months; nonces and changes from
-- yesterday to a week ahead. Returns how many were made.
CREATE FUNCTION messaging.make_partitions(today date) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    made integer := 0;
    low date;
    high date;
BEGIN
    FOR ahead IN 0..3 LOOP
        low := (date_trunc('month', today::timestamp) + make_interval(months => ahead))::date;
        high := (low::timestamp + interval '1 month')::date;
        made := made + messaging.make_partition('messages', 'messages_' || to_char(low, 'YYYY_MM'),
            messaging.snowflake_floor(low)::text, messaging.snowflake_floor(high)::text);
    END LOOP;
    FOR ahead IN -1..7 LOOP
        low := today + ahead;
        high := low + 1;
        made := made + messaging.make_partition('message_nonces',
            'message_nonces_' || to_char(low, 'YYYY_MM_DD'), low::text, high::text);
        made := made + messaging.make_partition('channel_events',
            'channel_events_' || to_char(low, 'YYYY_MM_DD'),
            messaging.snowflake_floor(low)::text, messaging.snowflake_floor(high)::text);
    END LOOP;
    RETURN made;
END $$;

-- Drops the daily partitions of days before `oldest`. Messages have none, so they are safe.
CREATE FUNCTION messaging.drop_partitions(parent text, oldest date) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    dropped integer := 0;
    part text;
BEGIN
    FOR part IN
        SELECT c.relname
        FROM pg_catalog.pg_inherits i
        JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass(format('messaging.%I', parent))
            AND c.relname ~ ('^' || parent || '_[0-9]{4}_[0-9]{2}_[0-9]{2}$')
            AND to_date(right(c.relname, 10), 'YYYY_MM_DD') < oldest
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE messaging.%I', part);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;

SELECT messaging.make_partitions((now() AT TIME ZONE 'UTC')::date);
