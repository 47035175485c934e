CREATE TABLE communities.communities (
  id bigint PRIMARY KEY,
  owner_id bigint NOT NULL,
  gallery_id bigint,
  name text NOT NULL CHECK (char_length(name) BETWEEN 2 AND 100),
  icon text,
  settings jsonb NOT NULL DEFAULT '{}',
  member_count int NOT NULL DEFAULT 0 CHECK (member_count >= 0),
  rev bigint NOT NULL DEFAULT 0,          -- number of the last change in the community
  perm_epoch int NOT NULL DEFAULT 0,      -- number of the last change of rights
  next_class int NOT NULL DEFAULT 1,      -- class numbers are never used twice: sockets remember them
  version int NOT NULL DEFAULT 1,
  deleted_at timestamptz
);

CREATE TABLE communities.channels (
  id bigint PRIMARY KEY,
  community_id bigint NOT NULL REFERENCES communities.communities (id),
  parent_id bigint,
  kind smallint NOT NULL CHECK (kind IN (0, 2, 4, 5, 13, 15, 16)),
  position int NOT NULL DEFAULT 0,
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  topic text CHECK (char_length(topic) <= 1024),
  nsfw bool NOT NULL DEFAULT false,
  slowmode_s int NOT NULL DEFAULT 0 CHECK (slowmode_s BETWEEN 0 AND 21600),
  settings jsonb NOT NULL DEFAULT '{}',
  version int NOT NULL DEFAULT 1,
  deleted_at timestamptz
);
CREATE INDEX channels_community ON communities.channels (community_id);
CREATE INDEX channels_deleted ON communities.channels (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE communities.roles (
  id bigint PRIMARY KEY,
  community_id bigint NOT NULL REFERENCES communities.communities (id),
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  position int NOT NULL DEFAULT 1 CHECK (position >= 0),
  colour int NOT NULL DEFAULT 0 CHECK (colour BETWEEN 0 AND 16777215),
  flags int NOT NULL DEFAULT 0,           -- 1 shown apart, 2 mentionable, 4 managed
  chat bigint NOT NULL DEFAULT 0,
  trade bigint NOT NULL DEFAULT 0,
  rule jsonb,                             -- whom the role is given to by itself: {"bot_id": "…"}
  version int NOT NULL DEFAULT 1
);
CREATE INDEX roles_community ON communities.roles (community_id);
CREATE UNIQUE INDEX roles_bot ON communities.roles (community_id, (rule ->> 'bot_id')) WHERE rule ? 'bot_id';

CREATE TABLE communities.overwrites (
  channel_id bigint NOT NULL REFERENCES communities.channels (id) ON DELETE CASCADE,
  target_kind smallint NOT NULL CHECK (target_kind IN (0, 1)),   -- 0 role, 1 member
  target_id bigint NOT NULL,
  chat_allow bigint NOT NULL DEFAULT 0,
  chat_deny bigint NOT NULL DEFAULT 0,
  trade_allow bigint NOT NULL DEFAULT 0,
  trade_deny bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (channel_id, target_kind, target_id),
  CONSTRAINT overwrites_disjoint CHECK (chat_allow & chat_deny = 0 AND trade_allow & trade_deny = 0)
);
CREATE INDEX overwrites_target ON communities.overwrites (target_id);

CREATE TABLE communities.role_classes (
  community_id bigint NOT NULL REFERENCES communities.communities (id),
  id int NOT NULL,
  role_ids bigint[] NOT NULL,             -- ascending; class 0 is the empty set
  PRIMARY KEY (community_id, id),
  CONSTRAINT role_classes_set UNIQUE (community_id, role_ids)
);

CREATE TABLE communities.members (
  community_id bigint NOT NULL REFERENCES communities.communities (id),
  user_id bigint NOT NULL,
  nick text CHECK (char_length(nick) BETWEEN 1 AND 32),
  class int NOT NULL DEFAULT 0,
  flags int NOT NULL DEFAULT 0,
  timeout_until timestamptz,
  joined_at timestamptz NOT NULL,
  PRIMARY KEY (community_id, user_id),
  FOREIGN KEY (community_id, class) REFERENCES communities.role_classes (community_id, id)
);
CREATE INDEX members_user ON communities.members (user_id);
CREATE INDEX members_class ON communities.members (community_id, class);

CREATE TABLE communities.bans (
  community_id bigint NOT NULL REFERENCES communities.communities (id),
  user_id bigint NOT NULL,
  actor_id bigint NOT NULL,
  reason text,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (community_id, user_id)
);

CREATE TABLE communities.invites (
  code text PRIMARY KEY,
  community_id bigint NOT NULL REFERENCES communities.communities (id),
  channel_id bigint NOT NULL REFERENCES communities.channels (id) ON DELETE CASCADE,
  inviter_id bigint NOT NULL,
  uses int NOT NULL DEFAULT 0,
  max_uses int NOT NULL DEFAULT 0 CHECK (max_uses BETWEEN 0 AND 100),
  max_age_s int NOT NULL DEFAULT 0 CHECK (max_age_s BETWEEN 0 AND 604800),
  temporary bool NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL,
  expires_at timestamptz,
  CONSTRAINT invites_uses CHECK (uses >= 0 AND (max_uses = 0 OR uses <= max_uses))
);
CREATE INDEX invites_community ON communities.invites (community_id);
CREATE INDEX invites_channel ON communities.invites (channel_id);
CREATE INDEX invites_expiry ON communities.invites (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE communities.emojis (
  id bigint PRIMARY KEY,
  community_id bigint NOT NULL REFERENCES communities.communities (id),
  name text NOT NULL CHECK (char_length(name) BETWEEN 2 AND 32),
  creator_id bigint NOT NULL,
  media_id bigint NOT NULL,
  animated bool NOT NULL DEFAULT false,
  role_ids bigint[] NOT NULL DEFAULT '{}'
);
CREATE INDEX emojis_community ON communities.emojis (community_id);

CREATE TABLE communities.automod_rules (
  id bigint PRIMARY KEY,
  community_id bigint NOT NULL REFERENCES communities.communities (id),
  creator_id bigint NOT NULL,
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  event_kind smallint NOT NULL,
  trigger_kind smallint NOT NULL,
  trigger jsonb NOT NULL DEFAULT '{}',
  actions jsonb NOT NULL DEFAULT '[]',
  exempt_role_ids bigint[] NOT NULL DEFAULT '{}',
  exempt_channel_ids bigint[] NOT NULL DEFAULT '{}',
  enabled bool NOT NULL DEFAULT false,
  version int NOT NULL DEFAULT 1
);
CREATE INDEX automod_rules_community ON communities.automod_rules (community_id);

CREATE TABLE communities.reports (
  id bigint PRIMARY KEY,
  community_id bigint NOT NULL REFERENCES communities.communities (id),
  reporter_id bigint NOT NULL,
  channel_id bigint,
  message_id bigint,
  target_id bigint,
  reason text NOT NULL,
  state smallint NOT NULL DEFAULT 0,      -- 0 open, 1 upheld, 2 dismissed, 3 appealed
  resolver_id bigint,
  resolution text,
  appeal text,
  created_at timestamptz NOT NULL,
  resolved_at timestamptz,
  version int NOT NULL DEFAULT 1
);
CREATE INDEX reports_community ON communities.reports (community_id, id);

CREATE TABLE communities.templates (
  code text PRIMARY KEY,
  community_id bigint NOT NULL REFERENCES communities.communities (id),
  creator_id bigint NOT NULL,
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  description text CHECK (char_length(description) <= 120),
  content jsonb NOT NULL,
  uses int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE INDEX templates_community ON communities.templates (community_id);

CREATE TABLE communities.audit_entries (
  community_id bigint NOT NULL REFERENCES communities.communities (id),
  id bigint NOT NULL,
  actor_id bigint NOT NULL,
  action smallint NOT NULL,
  target_id bigint,
  changes jsonb,
  reason text,
  PRIMARY KEY (community_id, id)
);
