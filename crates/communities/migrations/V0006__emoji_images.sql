-- The form of the image, by which it is served. Nobody could make an emoji before.
-- lock: emojis briefly, ACCESS EXCLUSIVE; a constant default rewrites nothing
ALTER TABLE communities.emojis ADD COLUMN format text NOT NULL DEFAULT 'png'
  CHECK (format IN ('png', 'jpg', 'gif', 'webp'));

-- Stored images to take out of the store: written before an image is stored and taken back when its
-- emoji is, so that a crash in between leaves nothing behind; written again when the emoji goes.
CREATE TABLE communities.image_removals (
  media_id bigint PRIMARY KEY,
  due_at timestamptz NOT NULL
);
CREATE INDEX image_removals_due ON communities.image_removals (due_at);
