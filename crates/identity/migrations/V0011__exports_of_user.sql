-- concurrent: people look at the exports they asked for
CREATE INDEX CONCURRENTLY IF NOT EXISTS exports_of_user
    ON identity.exports (user_id, id);
