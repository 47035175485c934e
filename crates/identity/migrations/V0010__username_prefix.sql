-- concurrent: staff find people by the beginning of their username
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_username_prefix
    ON identity.users ((username COLLATE "C"));
