-- Links of messages that are still to be looked at. A node that takes a row puts it off; another
-- one takes it up when that has passed.
CREATE TABLE messaging.link_previews (
    channel_id bigint NOT NULL,
    message_id bigint NOT NULL,
    links text[] NOT NULL,
    due_at timestamptz NOT NULL,
    tries smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (channel_id, message_id)
);
CREATE INDEX link_previews_due_idx ON messaging.link_previews (due_at);
