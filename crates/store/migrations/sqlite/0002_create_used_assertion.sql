-- Fingerprints of assertions that have become tokens. Kept until the assertion would be refused for its age anyway.
CREATE TABLE used_assertion (
    fingerprint     BLOB PRIMARY KEY CHECK (length(fingerprint) = 32),
    forgotten_after INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX used_assertion_by_age ON used_assertion (forgotten_after);
