-- The registry's smaller kinds (delegations, entries on behalf of others, system users, consents): one JSON document a row.
CREATE TABLE record (
    kind TEXT NOT NULL,
    id   TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
