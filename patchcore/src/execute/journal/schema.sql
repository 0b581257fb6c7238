-- The journal as schema 1 has it; schema_2.sql adds the rest, to a new journal as to an old one. Times are nanoseconds since 1970-01-01T00:00:00Z; JSON is canonical text.

-- `schema` keeps its place in every later version: it is how a version recognises a newer one.
CREATE TABLE meta(
  id        INTEGER PRIMARY KEY CHECK(id = 1),
  schema    INTEGER NOT NULL,
  uid       TEXT    NOT NULL DEFAULT (lower(hex(randomblob(8)))), -- part of every operation key
  epoch     INTEGER NOT NULL,   -- counts the openings; every commit is conditional on it
  owner     TEXT    NOT NULL,   -- who opened it last, JSON
  opened_at INTEGER NOT NULL,
  estate    TEXT,               -- the estate it belongs to, once used
  head_seq  INTEGER NOT NULL,   -- the newest event, 0 if none
  head_hash BLOB                -- and its hash
) STRICT;

CREATE TABLE run(
  id          INTEGER PRIMARY KEY,
  epoch       INTEGER NOT NULL,
  plan_digest TEXT    NOT NULL,
  started_at  INTEGER NOT NULL,
  ended_at    INTEGER,
  first_seq   INTEGER NOT NULL, -- where its events begin
  last_seq    INTEGER,          -- where they end, once it has ended
  head_hash   BLOB,             -- the hash that seals it, once it has ended
  plan        TEXT    NOT NULL,
  approvals   TEXT    NOT NULL
) STRICT;
-- At most one run is open.
CREATE UNIQUE INDEX run_open ON run((ended_at IS NULL)) WHERE ended_at IS NULL;

CREATE TABLE event(
  seq    INTEGER PRIMARY KEY,
  epoch  INTEGER NOT NULL,
  run    INTEGER NOT NULL REFERENCES run(id),
  stream TEXT    NOT NULL,
  tseq   INTEGER NOT NULL,
  at     INTEGER NOT NULL,
  kind   TEXT    NOT NULL,
  body   TEXT    NOT NULL,
  hash   BLOB    NOT NULL CHECK(length(hash) = 32),
  UNIQUE(run, stream, tseq)     -- who missed an event fails instead of forking history
) STRICT;
CREATE INDEX event_kind ON event(kind, seq);

CREATE TABLE command(
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  run          INTEGER REFERENCES run(id),
  at           INTEGER NOT NULL,
  person       TEXT    NOT NULL,
  verb         TEXT    NOT NULL,
  args         TEXT    NOT NULL,
  answered_seq INTEGER REFERENCES event(seq) -- the first event that it led to
) STRICT;
CREATE INDEX command_open ON command(id) WHERE answered_seq IS NULL;

CREATE VIEW v_runs AS SELECT
  run.id, CASE WHEN ended_at IS NULL THEN 'open' ELSE 'ended' END AS state,
  strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1e9, 'unixepoch') AS started,
  strftime('%Y-%m-%dT%H:%M:%fZ', ended_at / 1e9, 'unixepoch') AS ended,
  coalesce(last_seq, meta.head_seq) - first_seq + 1 AS events, plan_digest
FROM run, meta ORDER BY run.id;

CREATE VIEW v_events AS SELECT
  seq, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1e9, 'unixepoch') AS time, run, stream, tseq, kind, body, epoch
FROM event ORDER BY seq;

CREATE VIEW v_open_commands AS SELECT
  id, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1e9, 'unixepoch') AS time, run, person, verb, args
FROM command WHERE answered_seq IS NULL ORDER BY id;
