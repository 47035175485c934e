-- What hangs on messages.
CREATE TABLE messaging.revisions (
    channel_id bigint NOT NULL,
    message_id bigint NOT NULL,
    ev bigint NOT NULL,
    content text,
    body jsonb,
    replaced_at timestamptz NOT NULL,
    PRIMARY KEY (channel_id, message_id, ev)
);

CREATE TABLE messaging.reactions (
    channel_id bigint NOT NULL,
    message_id bigint NOT NULL,
    emoji text NOT NULL,
    user_id bigint NOT NULL,
    PRIMARY KEY (channel_id, message_id, emoji, user_id)
);

CREATE TABLE messaging.reaction_counts (
    channel_id bigint NOT NULL,
    message_id bigint NOT NULL,
    emoji text NOT NULL,
    n integer NOT NULL DEFAULT 0,
    PRIMARY KEY (channel_id, message_id, emoji)
) WITH (fillfactor = 70);

CREATE TABLE messaging.pins (
    channel_id bigint NOT NULL,
    message_id bigint NOT NULL,
    pinned_by bigint NOT NULL,
    pinned_at timestamptz NOT NULL,
    PRIMARY KEY (channel_id, message_id)
);

CREATE TABLE messaging.drafts (
    user_id bigint NOT NULL,
    channel_id bigint NOT NULL,
    content text NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, channel_id)
);

CREATE TABLE messaging.poll_votes (
    channel_id bigint NOT NULL,
    message_id bigint NOT NULL,
    user_id bigint NOT NULL,
    answer_id smallint NOT NULL,
    PRIMARY KEY (channel_id, message_id, user_id, answer_id)
);

CREATE TABLE messaging.scheduled_messages (
    id bigint PRIMARY KEY,
    channel_id bigint NOT NULL,
    author_id bigint NOT NULL,
    send_at timestamptz NOT NULL,
    body jsonb NOT NULL,
    state smallint NOT NULL DEFAULT 0,
    message_id bigint,
    error text
);
CREATE INDEX scheduled_messages_due_idx ON messaging.scheduled_messages (send_at) WHERE state = 0;
