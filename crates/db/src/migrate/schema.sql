DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{schema}_owner') THEN
        CREATE ROLE {schema}_owner NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{schema}_app') THEN
        CREATE ROLE {schema}_app NOLOGIN;
    END IF;
    IF NOT pg_has_role(current_user, '{schema}_owner', 'MEMBER') THEN
        GRANT {schema}_owner TO CURRENT_USER;
    END IF;
    IF NOT pg_has_role('meydan_app', '{schema}_app', 'MEMBER') THEN
        GRANT {schema}_app TO meydan_app;
    END IF;
    IF NOT pg_has_role('{schema}_app', 'meydan_node', 'MEMBER') THEN
        GRANT meydan_node TO {schema}_app;
    END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {schema}_owner;
GRANT USAGE ON SCHEMA {schema} TO {schema}_app;
ALTER DEFAULT PRIVILEGES FOR ROLE {schema}_owner IN SCHEMA {schema}
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {schema}_app;
ALTER DEFAULT PRIVILEGES FOR ROLE {schema}_owner IN SCHEMA {schema}
    GRANT USAGE, SELECT ON SEQUENCES TO {schema}_app;
