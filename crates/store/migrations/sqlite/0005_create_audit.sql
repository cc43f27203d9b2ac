-- Append-only. Each hash covers the one before it in its chain.
CREATE TABLE audit (
    chain BLOB NOT NULL CHECK (length(chain) = 16),
    place INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    hash  BLOB NOT NULL CHECK (length(hash) = 32),
    body  TEXT NOT NULL,
    PRIMARY KEY (chain, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_by_time ON audit (at, chain, place);

-- Which organisations may read an entry.
CREATE TABLE audit_concern (
    org   TEXT NOT NULL,
    at    INTEGER NOT NULL,
    chain BLOB NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (org, at, chain, place)
) STRICT, WITHOUT ROWID;

-- The end of each chain, and up to where other chains have noted it.
CREATE TABLE audit_chain (
    chain  BLOB PRIMARY KEY,
    place  INTEGER NOT NULL,
    hash   BLOB NOT NULL,
    joined INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which server keeps the used assertions. Another one may have missed some: what it could have missed is refused for a while.
CREATE TABLE replay_server (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    server         TEXT NOT NULL,
    doubtful_until INTEGER NOT NULL
) STRICT;
