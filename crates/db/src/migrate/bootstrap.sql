CREATE SCHEMA IF NOT EXISTS meydan;

CREATE TABLE IF NOT EXISTS meydan.leases (
    name text PRIMARY KEY,
    holder text NOT NULL,
    fence bigint NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE IF NOT EXISTS meydan.workers (
    number smallint PRIMARY KEY CHECK (number BETWEEN 0 AND 1023),
    holder text NOT NULL,
    fence bigint NOT NULL,
    expires_at timestamptz NOT NULL
);

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'meydan_node') THEN
        CREATE ROLE meydan_node NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'meydan_app') THEN
        CREATE ROLE meydan_app NOLOGIN;
    END IF;
END
$$;

GRANT USAGE ON SCHEMA meydan TO meydan_node;
GRANT SELECT, INSERT, UPDATE, DELETE ON meydan.workers TO meydan_node;
