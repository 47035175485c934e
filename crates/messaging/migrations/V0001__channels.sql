-- One row per place with messages. Community channels keep their settings in their own context and
-- only their counters here; private channels live here whole.
CREATE TABLE messaging.channels (
    id bigint PRIMARY KEY,
    community_id bigint,
    parent_id bigint,
    kind smallint NOT NULL,
    owner_id bigint,
    name text,
    settings jsonb NOT NULL DEFAULT '{}',
    ttl_s integer,
    receipts smallint NOT NULL DEFAULT 0,
    last_seq bigint NOT NULL DEFAULT 0,
    last_ev bigint NOT NULL DEFAULT 0,
    last_message_id bigint,
    everyone_seqs bigint[] NOT NULL DEFAULT '{}',
    role_mention_ids bigint[] NOT NULL DEFAULT '{}',
    role_mention_seqs bigint[] NOT NULL DEFAULT '{}',
    archived_at timestamptz,
    deleted_at timestamptz
) WITH (fillfactor = 70);
CREATE INDEX channels_parent_id_idx ON messaging.channels (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX channels_active_threads_idx ON messaging.channels (community_id)
    WHERE kind IN (10, 11, 12) AND archived_at IS NULL;

-- Members of private places, with their public receipts.
CREATE TABLE messaging.channel_members (
    channel_id bigint NOT NULL,
    user_id bigint NOT NULL,
    joined_seq bigint NOT NULL DEFAULT 0,
    delivered_seq bigint NOT NULL DEFAULT 0,
    read_seq bigint NOT NULL DEFAULT 0,
    flags integer NOT NULL DEFAULT 0,
    left_at timestamptz,
    PRIMARY KEY (channel_id, user_id)
) WITH (fillfactor = 70);
CREATE INDEX channel_members_user_id_idx ON messaging.channel_members (user_id);

-- Private cursors, in any channel. NULL = nothing read since joining.
CREATE TABLE messaging.read_states (
    user_id bigint NOT NULL,
    channel_id bigint NOT NULL,
    read_seq bigint,
    mention_seqs bigint[] NOT NULL DEFAULT '{}',
    notify smallint NOT NULL DEFAULT 0,
    muted_until timestamptz,
    PRIMARY KEY (user_id, channel_id)
) WITH (fillfactor = 70);

-- Two people have one direct channel, also when both open it at once.
CREATE TABLE messaging.dm_pairs (
    lo bigint NOT NULL,
    hi bigint NOT NULL,
    channel_id bigint NOT NULL,
    PRIMARY KEY (lo, hi),
    CONSTRAINT dm_pairs_ordered CHECK (lo < hi)
);
