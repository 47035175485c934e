-- More ways in: codes and links that are sent, second factors, browser panels.
-- lock: one_time_tokens briefly, ACCESS EXCLUSIVE; a column with a constant default rewrites nothing
ALTER TABLE identity.one_time_tokens
  ADD COLUMN attempts int NOT NULL DEFAULT 0;           -- counted before the proof is looked at

-- lock: one_time_tokens, ACCESS EXCLUSIVE while its few rows are checked
ALTER TABLE identity.one_time_tokens
  DROP CONSTRAINT one_time_tokens_purpose_check,
  ADD CONSTRAINT one_time_tokens_purpose_check CHECK (purpose IN (
    'registration', 'magic', 'reset', 'email_change', 'invite', 'oauth_code', 'setup', 'second_factor'));

-- lock: otp_challenges briefly, ACCESS EXCLUSIVE; nothing is rewritten
ALTER TABLE identity.otp_challenges
  ADD COLUMN target_enc bytea,                          -- AES-256-GCM under `kek`, AAD = challenge id: whom the code was sent to
  ADD COLUMN key_id text,
  ADD COLUMN locale text NOT NULL DEFAULT 'tr',
  ALTER COLUMN code_mac DROP NOT NULL;                  -- NULL: a company checks the code
