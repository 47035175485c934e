-- Address books, friends and blocks; who may see what of whom.
-- lock: relationships briefly, ACCESS EXCLUSIVE; a column without a default rewrites nothing
ALTER TABLE identity.relationships
  ADD COLUMN contact_since timestamptz;                 -- in the user's address book since; beside any kind

UPDATE identity.relationships SET contact_since = since WHERE kind = 'contact';

-- lock: relationships, ACCESS EXCLUSIVE while its rows are checked
ALTER TABLE identity.relationships
  ADD CONSTRAINT relationships_contact_check CHECK (NOT (kind = 'contact' AND contact_since IS NULL));

-- lock: privacy, ACCESS EXCLUSIVE while its rows are checked; constant defaults rewrite nothing
ALTER TABLE identity.privacy
  ADD COLUMN presence text NOT NULL DEFAULT 'everyone' CHECK (presence IN ('everyone', 'contacts', 'nobody')),
  ADD COLUMN phone    text NOT NULL DEFAULT 'contacts' CHECK (phone IN ('everyone', 'contacts', 'nobody'));

-- By what a number is found: look-ups carry no number. Not a column of users, so that it has its
-- own index from the start. A row that lags behind its user finds nobody (the numbers are compared).
CREATE TABLE identity.phone_keys (
  user_id    bigint PRIMARY KEY REFERENCES identity.users,
  phone_hmac bytea NOT NULL CHECK (octet_length(phone_hmac) = 32),  -- HMAC-SHA-256 of the E.164 number under `target`
  kept_at    timestamptz NOT NULL                       -- of which state of the account; behind users.updated_at = look again
);
CREATE INDEX ON identity.phone_keys (phone_hmac);

-- How many numbers a user looked up on the day they last did. No number is kept.
CREATE TABLE identity.phone_lookups (
  user_id bigint PRIMARY KEY REFERENCES identity.users,
  day     date NOT NULL,
  numbers int NOT NULL
);
