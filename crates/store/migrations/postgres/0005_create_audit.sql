-- Append-only. Each hash covers the one before it in its chain.
CREATE TABLE audit (
    chain BYTEA NOT NULL CHECK (length(chain) = 16),
    place BIGINT NOT NULL,
    at    BIGINT NOT NULL,
    hash  BYTEA NOT NULL CHECK (length(hash) = 32),
    body  TEXT NOT NULL,
    PRIMARY KEY (chain, place)
);

CREATE INDEX audit_by_time ON audit (at, chain, place);

-- Which organisations may read an entry.
CREATE TABLE audit_concern (
    org   TEXT NOT NULL,
    at    BIGINT NOT NULL,
    chain BYTEA NOT NULL,
    place BIGINT NOT NULL,
    PRIMARY KEY (org, at, chain, place)
);

-- The end of each chain, and up to where other chains have noted it.
CREATE TABLE audit_chain (
    chain  BYTEA PRIMARY KEY,
    place  BIGINT NOT NULL,
    hash   BYTEA NOT NULL,
    joined BIGINT NOT NULL
);

-- Which server keeps the used assertions. Another one may have missed some: what it could have missed is refused for a while.
CREATE TABLE replay_server (
    one            BIGINT PRIMARY KEY CHECK (one = 1),
    server         TEXT NOT NULL,
    doubtful_until BIGINT NOT NULL
);
