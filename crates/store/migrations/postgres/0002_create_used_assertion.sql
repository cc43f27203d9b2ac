-- Fingerprints of assertions that have become tokens. Kept until the assertion would be refused for its age anyway.
CREATE TABLE used_assertion (
    fingerprint     BYTEA PRIMARY KEY CHECK (length(fingerprint) = 32),
    forgotten_after BIGINT NOT NULL
);

CREATE INDEX used_assertion_by_age ON used_assertion (forgotten_after);
