-- What schema 2 adds to schema 1.

-- Where in its plan the parts stand, in bytes: none where the plan is whole, as every plan of schema 1 is.
ALTER TABLE run ADD COLUMN plan_hole INTEGER;

-- The targets of a plan, each canonical JSON; with them at their place the plan is what the chain begins with.
CREATE TABLE plan_part(
  run  INTEGER NOT NULL REFERENCES run(id),
  nth  INTEGER NOT NULL, -- from 1
  body TEXT    NOT NULL,
  PRIMARY KEY(run, nth)
) STRICT, WITHOUT ROWID;

-- Everything up to this event is in checkpoints: who reads the run reads them and what comes after. None where it has
-- none yet.
ALTER TABLE run ADD COLUMN checkpoint INTEGER;

-- What the events of a stream come to. It holds nothing that they do not say: whoever doubts one reads them.
CREATE TABLE checkpoint(
  run    INTEGER NOT NULL REFERENCES run(id),
  stream TEXT    NOT NULL,
  seq    INTEGER NOT NULL, -- the events of its stream up to here are in it
  body   TEXT    NOT NULL,
  sum    BLOB    NOT NULL, -- SHA-256 of run, stream, seq and body: a damaged one is left out
  PRIMARY KEY(run, stream)
) STRICT, WITHOUT ROWID;
