-- Every token wrote to this index, in a place of its own. Old fingerprints are found by going through the table piece by piece instead.
DROP INDEX used_assertion_by_age;
