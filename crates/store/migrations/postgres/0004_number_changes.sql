-- Every change of the registry has a number, without gaps. Nodes tell by it whether they have seen all.
CREATE TABLE registry_head (
    one      BIGINT PRIMARY KEY CHECK (one = 1),
    sequence BIGINT NOT NULL
);
INSERT INTO registry_head (one, sequence) VALUES (1, 0);

-- The newest changes, for nodes that lag a little.
CREATE TABLE registry_change (
    sequence BIGINT PRIMARY KEY,
    body     TEXT NOT NULL
);

-- Prefixes in the order in which they were given.
ALTER TABLE prefix ADD COLUMN place BIGINT NOT NULL DEFAULT 0;
