-- The ledger. Times are epoch milliseconds UTC, 0 is "never"; booleans are 0
-- and 1; JSON is text. Campaigns and senders have a small number (n) beside
-- their id, so that a million recipients carry a byte instead of thirty.
--
-- Nothing but the writer of package storage changes these tables: counters
-- must move in the transaction that moves the rows.

-- +goose Up
CREATE TABLE meta (
  key   TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- AUTOINCREMENT: the number of a deleted draft is never given out again.
CREATE TABLE campaigns (
  n            INTEGER PRIMARY KEY AUTOINCREMENT,
  id           TEXT    NOT NULL UNIQUE,
  name         TEXT    NOT NULL,
  mode         TEXT    NOT NULL CHECK (mode IN ('sandbox', 'live')),
  state        TEXT    NOT NULL CHECK (state IN ('draft', 'scheduled', 'running', 'paused', 'tracking', 'completed', 'canceled')),
  reason       TEXT    NOT NULL DEFAULT '',
  detail       TEXT    NOT NULL DEFAULT '',
  spec         TEXT    NOT NULL,
  poll_id      TEXT    NOT NULL DEFAULT '',
  message_hash TEXT    NOT NULL DEFAULT '',
  source_hash  TEXT    NOT NULL DEFAULT '',
  created_at   BIGINT  NOT NULL,
  start_at     BIGINT  NOT NULL DEFAULT 0,
  started_at   BIGINT  NOT NULL DEFAULT 0,
  finished_at  BIGINT  NOT NULL DEFAULT 0,
  CHECK ((state = 'paused') = (reason <> ''))
);
CREATE INDEX campaigns_by_name ON campaigns (name, n);

CREATE TABLE imports (
  campaign_n BIGINT  NOT NULL REFERENCES campaigns (n),
  number     INTEGER NOT NULL CHECK (number >= 1),
  file       TEXT    NOT NULL,
  sha256     TEXT    NOT NULL,
  header     TEXT    NOT NULL,
  slugs      TEXT    NOT NULL,
  row_count  BIGINT  NOT NULL CHECK (row_count >= 0),
  complete   INTEGER NOT NULL DEFAULT 0 CHECK (complete IN (0, 1)),
  at         BIGINT  NOT NULL,
  PRIMARY KEY (campaign_n, number)
);

CREATE TABLE events (
  n          INTEGER PRIMARY KEY AUTOINCREMENT,
  campaign_n BIGINT  NOT NULL REFERENCES campaigns (n),
  at         BIGINT  NOT NULL,
  kind       TEXT    NOT NULL,
  from_state TEXT    NOT NULL DEFAULT '',
  to_state   TEXT    NOT NULL DEFAULT '',
  reason     TEXT    NOT NULL DEFAULT '',
  detail     TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX events_by_campaign ON events (campaign_n, n);

CREATE TABLE senders (
  n          INTEGER PRIMARY KEY AUTOINCREMENT,
  id         TEXT    NOT NULL UNIQUE,
  phone      TEXT    NOT NULL UNIQUE,
  created_at BIGINT  NOT NULL
);

CREATE TABLE leases (
  sender_n      BIGINT PRIMARY KEY NOT NULL REFERENCES senders (n),
  holder        TEXT   NOT NULL,
  epoch         BIGINT NOT NULL CHECK (epoch >= 1),
  expires_at    BIGINT NOT NULL,
  blocked_until BIGINT NOT NULL DEFAULT 0,
  last_grant    BIGINT NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- Intents per sender and minute: hourly and daily caps look back over it.
CREATE TABLE sender_usage (
  sender_n BIGINT NOT NULL,
  minute   BIGINT NOT NULL,
  n        BIGINT NOT NULL CHECK (n >= 0),
  PRIMARY KEY (sender_n, minute)
) WITHOUT ROWID;

CREATE TABLE recipients (
  campaign_n     BIGINT  NOT NULL REFERENCES campaigns (n),
  seq            BIGINT  NOT NULL CHECK (seq >= 1),
  import_n       INTEGER NOT NULL,
  line           BIGINT  NOT NULL,
  -- 1: this row is the campaign's one line for its chat. Duplicates and rows
  -- that will not be sent have 0, so that a mended row may take the chat.
  addressed      INTEGER NOT NULL CHECK (addressed IN (0, 1)),
  sender_n       BIGINT  NOT NULL DEFAULT 0,
  status         TEXT    NOT NULL CHECK (status IN ('skipped', 'pending', 'staged', 'submitting', 'unknown', 'queued',
                                                    'processing', 'sent', 'delivered', 'read', 'failed', 'canceled')),
  skip_reason    TEXT    NOT NULL DEFAULT '',
  fail_reason    TEXT    NOT NULL DEFAULT '',
  fail_class     TEXT    NOT NULL DEFAULT '',
  gen            BIGINT  NOT NULL DEFAULT 0,
  attempt        INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
  epoch          BIGINT  NOT NULL DEFAULT 0,
  not_before     BIGINT  NOT NULL DEFAULT 0,
  staged_at      BIGINT  NOT NULL DEFAULT 0,
  claimed_at     BIGINT  NOT NULL DEFAULT 0,
  queued_at      BIGINT  NOT NULL DEFAULT 0,
  sent_at        BIGINT  NOT NULL DEFAULT 0,
  delivered_at   BIGINT  NOT NULL DEFAULT 0,
  read_at        BIGINT  NOT NULL DEFAULT 0,
  failed_at      BIGINT  NOT NULL DEFAULT 0,
  next_poll_at   BIGINT  NOT NULL DEFAULT 0,
  polls          INTEGER NOT NULL DEFAULT 0,
  queue_position BIGINT  NOT NULL DEFAULT 0,
  chat           TEXT    NOT NULL DEFAULT '',
  queue_id       TEXT    NOT NULL DEFAULT '',
  unique_id      TEXT    NOT NULL DEFAULT '',
  message_id     TEXT    NOT NULL DEFAULT '',
  body_hash      TEXT    NOT NULL DEFAULT '',
  detail         TEXT    NOT NULL DEFAULT '',
  record         TEXT    NOT NULL DEFAULT '[]',
  PRIMARY KEY (campaign_n, seq),
  CHECK ((status = 'skipped') = (skip_reason <> '')),
  CHECK ((status = 'failed') = (fail_reason <> '')),
  CHECK (status = 'skipped' OR (chat <> '' AND sender_n > 0)),
  CHECK (status NOT IN ('submitting', 'unknown') OR (attempt >= 1 AND epoch >= 1))
) WITHOUT ROWID;

-- One line per campaign and chat. No predicate here names a column that
-- changes while sending, so sending never touches these two.
CREATE UNIQUE INDEX recipients_by_chat ON recipients (campaign_n, chat) WHERE addressed = 1;
CREATE INDEX recipients_by_skipped_chat ON recipients (campaign_n, chat) WHERE addressed = 0 AND chat <> '';

-- One row per message the provider took.
CREATE UNIQUE INDEX recipients_by_queue_id ON recipients (queue_id) WHERE queue_id <> '';

-- What the feeder takes next, and when the next retry is due.
CREATE INDEX recipients_pending ON recipients (campaign_n, sender_n, seq, not_before) WHERE status = 'pending';
CREATE INDEX recipients_deferred ON recipients (campaign_n, not_before) WHERE status = 'pending' AND not_before > 0;

-- What is in the stream or on the wire: never more than a few thousand rows.
-- OR instead of IN: SQLite then sees that status = 'staged' is inside.
CREATE INDEX recipients_in_flight ON recipients (sender_n, campaign_n, seq) WHERE status = 'staged' OR status = 'submitting';

-- Whose status is to be asked for.
CREATE INDEX recipients_to_poll ON recipients (campaign_n, next_poll_at) WHERE next_poll_at > 0;

-- What people list. The common statuses page along the primary key instead.
CREATE INDEX recipients_exceptions ON recipients (campaign_n, status, seq, skip_reason, fail_reason)
  WHERE status = 'failed' OR status = 'skipped' OR status = 'unknown' OR status = 'canceled';

-- One row per call of the send API, that is per hand-over (gen).
CREATE TABLE attempts (
  campaign_n  BIGINT  NOT NULL,
  seq         BIGINT  NOT NULL,
  gen         BIGINT  NOT NULL,
  number      INTEGER NOT NULL,
  started_at  BIGINT  NOT NULL,
  ended_at    BIGINT  NOT NULL DEFAULT 0,
  outcome     TEXT    NOT NULL CHECK (outcome IN ('accepted', 'rejected', 'throttled', 'unavailable', 'refused', 'unknown')),
  http_status INTEGER NOT NULL DEFAULT 0,
  trace_id    TEXT    NOT NULL DEFAULT '',
  detail      TEXT    NOT NULL DEFAULT '',
  PRIMARY KEY (campaign_n, seq, gen)
) WITHOUT ROWID;

-- How many rows are in each status, of each skip and fail reason, of each
-- import, and accepted in each minute: kept in the transaction that moves the
-- rows. A count below zero is a bug and refuses the transaction.
CREATE TABLE counters (
  campaign_n BIGINT NOT NULL,
  kind       TEXT   NOT NULL CHECK (kind IN ('status', 'skip', 'fail', 'import', 'minute')),
  key        TEXT   NOT NULL,
  n          BIGINT NOT NULL CHECK (n >= 0),
  PRIMARY KEY (campaign_n, kind, key)
) WITHOUT ROWID;

-- When the first and the latest message were accepted.
CREATE TABLE progress (
  campaign_n        BIGINT PRIMARY KEY NOT NULL,
  first_accepted_at BIGINT NOT NULL,
  last_accepted_at  BIGINT NOT NULL
) WITHOUT ROWID;
