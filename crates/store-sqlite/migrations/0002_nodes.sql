-- A node lives while `expires_at`, by the store's clock, is still to come.
CREATE TABLE nodes (
  id         TEXT PRIMARY KEY,
  directory  TEXT NOT NULL,
  machine    TEXT NOT NULL,
  path       TEXT NOT NULL,
  address    TEXT,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;

-- The owners of before are no nodes, and dead: whoever brings the schema up to date has the data directory.
UPDATE sessions SET lease_owner = NULL WHERE lease_owner IS NOT NULL;
DROP INDEX sessions_leased;
CREATE INDEX sessions_by_owner ON sessions (lease_owner) WHERE lease_owner IS NOT NULL;

CREATE TABLE snapshots (
  session  TEXT PRIMARY KEY,
  position INTEGER NOT NULL,
  format   INTEGER NOT NULL,
  body     TEXT NOT NULL
) WITHOUT ROWID;

-- Work items pile up once they are stopped, and pollers look for those that are not.
CREATE INDEX documents_live_by_parent ON documents (workspace, kind, parent, created_at, id)
  WHERE parent IS NOT NULL AND archived_at IS NULL;

-- `attempt` was answered, `follows` and `repetition` are others that it knew of. `subject` is a session.
CREATE TABLE answers (
  workspace   TEXT NOT NULL,
  name        TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  attempt     TEXT NOT NULL,
  follows     TEXT,
  repetition  TEXT,
  status      INTEGER NOT NULL,
  body        TEXT NOT NULL,
  at          INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL,
  subject     TEXT,
  PRIMARY KEY (workspace, name)
) WITHOUT ROWID;
CREATE INDEX answers_by_expiry ON answers (expires_at);
CREATE INDEX answers_by_subject ON answers (subject) WHERE subject IS NOT NULL;

-- `attempt` counts how often the item was taken; whoever has it is named by the count.
CREATE TABLE items (
  queue   TEXT NOT NULL,
  id      TEXT NOT NULL,
  due_at  INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  body    TEXT NOT NULL,
  PRIMARY KEY (queue, id)
) WITHOUT ROWID;
CREATE INDEX items_by_time ON items (queue, due_at, id);
