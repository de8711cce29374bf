CREATE TABLE documents (
  workspace   TEXT NOT NULL,
  kind        TEXT NOT NULL,
  id          TEXT NOT NULL,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  archived_at INTEGER,
  version     INTEGER NOT NULL,
  parent      TEXT,
  refers      TEXT,
  body        TEXT NOT NULL,
  PRIMARY KEY (workspace, kind, id)
) WITHOUT ROWID;
CREATE INDEX documents_by_time ON documents (workspace, kind, created_at, id);
CREATE INDEX documents_live ON documents (workspace, kind, created_at, id) WHERE archived_at IS NULL;
CREATE INDEX documents_by_parent ON documents (workspace, kind, parent, created_at, id) WHERE parent IS NOT NULL;
CREATE INDEX documents_by_reference ON documents (workspace, refers) WHERE refers IS NOT NULL;

-- The log's header: the row that compare-and-append compares with.
CREATE TABLE sessions (
  id          TEXT PRIMARY KEY,
  workspace   TEXT NOT NULL,
  head        INTEGER NOT NULL,
  epoch       INTEGER NOT NULL,
  lease_owner TEXT,
  status      TEXT NOT NULL,
  runnable    INTEGER NOT NULL,
  summary     TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_runnable ON sessions (id) WHERE runnable = 1;
CREATE INDEX sessions_working ON sessions (id) WHERE status IN ('running', 'rescheduling');
CREATE INDEX sessions_leased ON sessions (id) WHERE lease_owner IS NOT NULL;

-- visibility: 0 private, 1 shown, 2 waiting, 3 processes the row at `refers`.
CREATE TABLE log (
  session    TEXT NOT NULL,
  position   INTEGER NOT NULL,
  id         TEXT NOT NULL,
  thread     TEXT NOT NULL,
  at         INTEGER NOT NULL,
  kind       TEXT NOT NULL,
  visibility INTEGER NOT NULL,
  refers     INTEGER,
  body       TEXT NOT NULL,
  private    TEXT NOT NULL,
  PRIMARY KEY (session, position)
) WITHOUT ROWID;
CREATE INDEX log_inputs ON log (session, position) WHERE visibility = 2 OR (visibility = 1 AND kind GLOB 'user.*');

-- Inputs that no row processes yet: a row comes with the input, and goes with the row that processes it.
CREATE TABLE waiting (
  session  TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (session, position)
) WITHOUT ROWID;

CREATE TABLE coverage (
  session  TEXT NOT NULL,
  key      TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (session, key)
) WITHOUT ROWID;

CREATE TABLE settings (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;
