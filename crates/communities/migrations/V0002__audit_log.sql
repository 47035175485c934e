-- What an entry says besides its changes, as the dialect has it: whom an overwrite is for, how many
-- members a prune removed.
-- lock: audit_entries briefly, ACCESS EXCLUSIVE; a column without a default rewrites nothing
ALTER TABLE communities.audit_entries ADD COLUMN options jsonb;
