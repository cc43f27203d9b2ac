-- Every change of the registry has a number, without gaps. Nodes tell by it whether they have seen all.
CREATE TABLE registry_head (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    sequence INTEGER NOT NULL
) STRICT;
INSERT INTO registry_head (one, sequence) VALUES (1, 0);

-- Prefixes in the order in which they were given.
ALTER TABLE prefix ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
