-- When polls end, and what was done about it: 0 = votes are taken, 1 = closed, 2 = the result was
-- said. What a poll asks stands in its message.
CREATE TABLE messaging.polls (
    channel_id bigint NOT NULL,
    message_id bigint NOT NULL,
    ends_at timestamptz NOT NULL,
    state smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (channel_id, message_id)
);
CREATE INDEX polls_due_idx ON messaging.polls (ends_at) WHERE state < 2;

CREATE TABLE messaging.poll_counts (
    channel_id bigint NOT NULL,
    message_id bigint NOT NULL,
    answer_id smallint NOT NULL,
    n integer NOT NULL DEFAULT 0,
    PRIMARY KEY (channel_id, message_id, answer_id)
) WITH (fillfactor = 70);
