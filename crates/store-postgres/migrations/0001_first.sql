-- Text that is compared or ordered is ordered by its bytes, as everywhere else.
CREATE TABLE documents (
  workspace     TEXT COLLATE "C" NOT NULL,
  kind          TEXT COLLATE "C" NOT NULL,
  id            TEXT COLLATE "C" NOT NULL,
  created_at    BIGINT NOT NULL,
  updated_at    BIGINT NOT NULL,
  archived_at   BIGINT,
  version       BIGINT NOT NULL,
  parent        TEXT COLLATE "C",
  refers        TEXT COLLATE "C",
  -- Of a session: the version of its agent, which lists filter on.
  agent_version BIGINT,
  body          TEXT NOT NULL,
  PRIMARY KEY (workspace, kind, id)
);
CREATE INDEX documents_by_time ON documents (workspace, kind, created_at, id);
CREATE INDEX documents_live ON documents (workspace, kind, created_at, id) WHERE archived_at IS NULL;
CREATE INDEX documents_by_parent ON documents (workspace, kind, parent, created_at, id) WHERE parent IS NOT NULL;
CREATE INDEX documents_live_by_parent ON documents (workspace, kind, parent, created_at, id)
  WHERE parent IS NOT NULL AND archived_at IS NULL;
CREATE INDEX documents_by_reference ON documents (workspace, refers) WHERE refers IS NOT NULL;

-- The log's header: the row that compare-and-append compares with, and that is locked for it. A `lease_owner` that is none
-- of the nodes has no lease any more.
CREATE TABLE sessions (
  id          TEXT COLLATE "C" PRIMARY KEY,
  workspace   TEXT COLLATE "C" NOT NULL,
  head        BIGINT NOT NULL,
  epoch       BIGINT NOT NULL,
  lease_owner TEXT COLLATE "C",
  status      TEXT NOT NULL,
  runnable    BOOLEAN NOT NULL,
  summary     TEXT NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX sessions_runnable ON sessions (id) WHERE runnable;
CREATE INDEX sessions_working ON sessions (id) WHERE status IN ('running', 'rescheduling');
CREATE INDEX sessions_by_owner ON sessions (lease_owner) WHERE lease_owner IS NOT NULL;

-- visibility: 0 private, 1 shown, 2 waiting, 3 processes the row at `refers`.
CREATE TABLE log (
  session    TEXT COLLATE "C" NOT NULL,
  position   BIGINT NOT NULL,
  id         TEXT NOT NULL,
  thread     TEXT NOT NULL,
  at         BIGINT NOT NULL,
  kind       TEXT NOT NULL,
  visibility SMALLINT NOT NULL,
  refers     BIGINT,
  body       TEXT NOT NULL,
  private    TEXT NOT NULL,
  PRIMARY KEY (session, position)
);
CREATE INDEX log_inputs ON log (session, position) WHERE visibility = 2 OR (visibility = 1 AND kind LIKE 'user.%');

-- Inputs that no row processes yet: a row comes with the input, and goes with the row that processes it.
CREATE TABLE waiting (
  session  TEXT COLLATE "C" NOT NULL,
  position BIGINT NOT NULL,
  PRIMARY KEY (session, position)
);

CREATE TABLE coverage (
  session  TEXT COLLATE "C" NOT NULL,
  key      TEXT COLLATE "C" NOT NULL,
  position BIGINT NOT NULL,
  PRIMARY KEY (session, key)
);

CREATE TABLE snapshots (
  session  TEXT COLLATE "C" PRIMARY KEY,
  position BIGINT NOT NULL,
  format   INTEGER NOT NULL,
  body     TEXT NOT NULL
);

CREATE TABLE settings (
  name  TEXT COLLATE "C" PRIMARY KEY,
  value TEXT NOT NULL
);

-- A node lives while `expires_at`, by the database's clock, is still to come.
CREATE TABLE nodes (
  id         TEXT COLLATE "C" PRIMARY KEY,
  directory  TEXT NOT NULL,
  machine    TEXT NOT NULL,
  path       TEXT NOT NULL,
  address    TEXT,
  expires_at BIGINT NOT NULL
);

-- `attempt` was answered, `follows` and `repetition` are others that it knew of. `subject` is a session.
CREATE TABLE answers (
  workspace   TEXT COLLATE "C" NOT NULL,
  name        TEXT COLLATE "C" NOT NULL,
  fingerprint TEXT NOT NULL,
  attempt     TEXT COLLATE "C" NOT NULL,
  follows     TEXT COLLATE "C",
  repetition  TEXT COLLATE "C",
  status      INTEGER NOT NULL,
  body        TEXT NOT NULL,
  at          BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL,
  subject     TEXT COLLATE "C",
  PRIMARY KEY (workspace, name)
);
CREATE INDEX answers_by_expiry ON answers (expires_at);
CREATE INDEX answers_by_subject ON answers (subject) WHERE subject IS NOT NULL;

-- `attempt` counts how often the item was taken; whoever has it is named by the count.
CREATE TABLE items (
  queue   TEXT COLLATE "C" NOT NULL,
  id      TEXT COLLATE "C" NOT NULL,
  due_at  BIGINT NOT NULL,
  attempt INTEGER NOT NULL,
  body    TEXT NOT NULL,
  PRIMARY KEY (queue, id)
);
CREATE INDEX items_by_time ON items (queue, due_at, id);

-- A blob is there when its row is, which comes behind all of its chunks.
CREATE TABLE blobs (
  workspace TEXT COLLATE "C" NOT NULL,
  id        TEXT COLLATE "C" NOT NULL,
  size      BIGINT NOT NULL,
  PRIMARY KEY (workspace, id)
);

-- An upload that was cut off leaves chunks of no blob. They do no harm, and the next one of the same bytes builds on them.
CREATE TABLE blob_chunks (
  workspace TEXT COLLATE "C" NOT NULL,
  id        TEXT COLLATE "C" NOT NULL,
  number    INTEGER NOT NULL,
  bytes     BYTEA NOT NULL,
  PRIMARY KEY (workspace, id, number)
);
-- They are compressed already, or will not get smaller.
ALTER TABLE blob_chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- Milliseconds since 1970, as they pass: not as of the transaction's beginning.
CREATE FUNCTION stead_now() RETURNS BIGINT LANGUAGE sql VOLATILE AS
$$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

-- Compare and append, in one call. code: 0 appended, 1 conflict, 2 fenced, 3 no such session.
-- lease: 0 none, 1 claim, 2 hold, 3 release.
CREATE FUNCTION stead_append(
  of_session TEXT, expected BIGINT, lease SMALLINT, claimant TEXT, held BIGINT,
  positions BIGINT[], ids TEXT[], threads TEXT[], ats BIGINT[], kinds TEXT[], visibilities SMALLINT[],
  referred BIGINT[], bodies TEXT[], privates TEXT[],
  new_status TEXT, is_runnable BOOLEAN, new_summary TEXT,
  OUT code INTEGER, OUT new_head BIGINT, OUT new_epoch BIGINT
) LANGUAGE plpgsql AS $$
DECLARE
  header sessions%ROWTYPE;
  owner TEXT;
BEGIN
  -- Appends stand in a line. Whoever only needs the session to stay, with FOR KEY SHARE, need not wait for them.
  SELECT * INTO header FROM sessions WHERE sessions.id = of_session FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    code := 3; new_head := 0; new_epoch := 0;
    RETURN;
  END IF;
  new_head := header.head; new_epoch := header.epoch; owner := header.lease_owner;
  IF lease = 1 THEN
    owner := claimant;
    -- An owner that is no node any more was buried while its append was on the way: its lease is free.
    IF header.lease_owner <> claimant AND EXISTS (SELECT 1 FROM nodes WHERE nodes.id = header.lease_owner) THEN
      code := 2;
      RETURN;
    END IF;
  ELSIF lease > 1 THEN
    IF held <> header.epoch OR owner IS NULL THEN code := 2; RETURN; END IF;
  END IF;
  IF lease > 0 AND NOT EXISTS (SELECT 1 FROM nodes WHERE nodes.id = owner AND nodes.expires_at > stead_now()) THEN
    code := 2;
    RETURN;
  END IF;
  IF header.head <> expected THEN code := 1; RETURN; END IF;
  IF lease = 1 THEN new_epoch := header.epoch + 1; END IF;
  IF lease = 3 THEN owner := NULL; END IF;
  IF cardinality(positions) > 0 THEN
    INSERT INTO log
      SELECT of_session, * FROM unnest(positions, ids, threads, ats, kinds, visibilities, referred, bodies, privates);
    INSERT INTO waiting
      SELECT of_session, t.position FROM unnest(positions, visibilities) AS t(position, visibility) WHERE t.visibility = 2;
    DELETE FROM waiting w USING unnest(referred, visibilities) AS t(position, visibility)
      WHERE t.visibility = 3 AND w.session = of_session AND w.position = t.position;
    new_head := expected + cardinality(positions);
  END IF;
  UPDATE sessions SET head = new_head, epoch = new_epoch, lease_owner = owner, status = new_status,
    runnable = is_runnable, summary = new_summary WHERE sessions.id = of_session;
  code := 0;
END $$;
