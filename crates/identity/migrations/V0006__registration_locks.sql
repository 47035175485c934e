-- The wait of somebody who reaches an account by its number and does not know its PIN. Any use of the
-- account after `began_at` ends it; both are times of the database's clock.
CREATE TABLE identity.registration_locks (
  user_id  bigint PRIMARY KEY REFERENCES identity.users,
  began_at timestamptz NOT NULL
);
