-- Organisations and the scope prefixes that belong to them.
CREATE TABLE organisation (
    org          TEXT PRIMARY KEY CHECK (length(org) = 9),
    name         TEXT NOT NULL,
    created      TEXT NOT NULL,
    last_updated TEXT NOT NULL
);

CREATE TABLE prefix (
    prefix TEXT PRIMARY KEY,
    org    TEXT NOT NULL REFERENCES organisation (org)
);

-- Attributes that no query looks at live in `body`, as JSON.
CREATE TABLE scope (
    name  TEXT PRIMARY KEY,
    owner TEXT NOT NULL REFERENCES organisation (org),
    body  TEXT NOT NULL
);

CREATE TABLE scope_access (
    scope        TEXT NOT NULL REFERENCES scope (name),
    consumer     TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('REQUESTED', 'APPROVED', 'DENIED')),
    created      TEXT NOT NULL,
    last_updated TEXT NOT NULL,
    PRIMARY KEY (scope, consumer)
);

CREATE TABLE client (
    id   TEXT PRIMARY KEY,
    org  TEXT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE client_key (
    client  TEXT NOT NULL REFERENCES client (id),
    kid     TEXT NOT NULL,
    place   BIGINT NOT NULL,
    jwk     TEXT NOT NULL,
    created TEXT NOT NULL,
    expires TEXT NOT NULL,
    PRIMARY KEY (client, kid)
);
