-- concurrent: staff find people by the beginning of their display name
-- The expression is that of `identity.search_people`: Turkish letters lose their marks, the rest is ASCII-lowered.
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_display_name_prefix
    ON identity.users (lower(translate(display_name, 'İIıŞşĞğÜüÖöÇçÂâÎîÛû', 'iiissgguuooccaaiiuu') COLLATE "C"));
