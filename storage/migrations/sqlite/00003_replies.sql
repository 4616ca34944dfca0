-- What comes back: webhook deliveries, replies, consent, votes, and what goes
-- out to other systems.
--
-- No CHECK on new columns of recipients, as in 00002.

-- +goose Up

-- What people answered, of each row: derived from replies, ballots and
-- consents in the transaction that changes those, never counted up. A vote is a
-- JSON array, '' without one.
ALTER TABLE recipients ADD COLUMN variant    TEXT    NOT NULL DEFAULT '';
ALTER TABLE recipients ADD COLUMN replies    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE recipients ADD COLUMN replied_at BIGINT  NOT NULL DEFAULT 0;
ALTER TABLE recipients ADD COLUMN reply      TEXT    NOT NULL DEFAULT '';
ALTER TABLE recipients ADD COLUMN vote       TEXT    NOT NULL DEFAULT '';
ALTER TABLE recipients ADD COLUMN voted_at   BIGINT  NOT NULL DEFAULT 0;
ALTER TABLE recipients ADD COLUMN vote_moves INTEGER NOT NULL DEFAULT 0;
ALTER TABLE recipients ADD COLUMN opted_out  BIGINT  NOT NULL DEFAULT 0;

-- Webhooks and quotes name a message by its unique id.
CREATE INDEX recipients_by_unique_id ON recipients (unique_id) WHERE unique_id <> '';

-- Ids of attempts that were given up and followed by another: late evidence
-- about them still finds its row.
CREATE TABLE former_ids (
  id         TEXT   PRIMARY KEY NOT NULL, -- a queue id, unique id or message id
  campaign_n BIGINT NOT NULL,
  seq        BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX former_ids_by_row ON former_ids (campaign_n, seq);

-- Webhook deliveries: kept whole until they are folded into the ledger, then
-- only their key, to know a repetition.
CREATE TABLE deliveries (
  n         INTEGER PRIMARY KEY AUTOINCREMENT,
  key       TEXT   NOT NULL UNIQUE,
  name      TEXT   NOT NULL,
  body      BLOB,                          -- NULL once folded in
  received  BIGINT NOT NULL,
  parked    BIGINT NOT NULL DEFAULT 0      -- waits for its row since then
);
CREATE INDEX deliveries_new    ON deliveries (n)      WHERE body IS NOT NULL AND parked = 0;
CREATE INDEX deliveries_parked ON deliveries (n) WHERE body IS NOT NULL AND parked > 0;
CREATE INDEX deliveries_by_age ON deliveries (parked) WHERE body IS NOT NULL AND parked > 0;
CREATE INDEX deliveries_done   ON deliveries (received) WHERE body IS NULL;

-- Inbound messages. The id is the provider's, so that a message that comes by
-- webhook and is found by a sweep is one.
CREATE TABLE replies (
  id         TEXT   PRIMARY KEY NOT NULL,
  campaign_n BIGINT NOT NULL DEFAULT 0,    -- 0: answers no campaign
  seq        BIGINT NOT NULL DEFAULT 0,
  tie        TEXT   NOT NULL,
  phone      TEXT   NOT NULL,
  chat       TEXT   NOT NULL,
  author     TEXT   NOT NULL DEFAULT '',
  quoted     TEXT   NOT NULL DEFAULT '',
  kind       TEXT   NOT NULL DEFAULT '',
  text       TEXT   NOT NULL DEFAULT '',
  wish       TEXT   NOT NULL DEFAULT '',
  decided    TEXT   NOT NULL DEFAULT '',   -- of a review: what a person decided
  at         BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX replies_by_row ON replies (campaign_n, seq, at) WHERE campaign_n > 0;
CREATE INDEX replies_to_review ON replies (at) WHERE wish = 'review' AND decided = '';

-- Every decision about a chat's consent, in any order, under the spelling it
-- came with. The latest over all spellings of a chat holds.
CREATE TABLE consents (
  chat       TEXT   NOT NULL,
  at         BIGINT NOT NULL,
  wish       TEXT   NOT NULL CHECK (wish IN ('opt_out', 'opt_in')),
  source     TEXT   NOT NULL,
  reason     TEXT   NOT NULL DEFAULT '',
  campaign_n BIGINT NOT NULL DEFAULT 0,
  seq        BIGINT NOT NULL DEFAULT 0,
  learned    BIGINT NOT NULL,
  PRIMARY KEY (chat, at, wish)
) WITHOUT ROWID;
CREATE INDEX consents_by_row ON consents (campaign_n, seq) WHERE campaign_n > 0;

-- Chats that must not be written to, in every spelling that is known of them:
-- those whose latest decision is an opt-out. Derived from consents and
-- chat_aliases; a claim asks here and nowhere else.
CREATE TABLE suppressions (
  chat    TEXT   PRIMARY KEY NOT NULL,
  at      BIGINT NOT NULL
) WITHOUT ROWID;

-- Two spellings of one chat: WhatsApp's own, and the rows'.
CREATE TABLE chat_aliases (
  alias TEXT NOT NULL,
  chat  TEXT NOT NULL,
  PRIMARY KEY (alias, chat)
) WITHOUT ROWID;
CREATE INDEX chat_aliases_by_chat ON chat_aliases (chat, alias);

-- The votes on a poll message as they were at each time they were seen, all
-- voters together: whoever is missing had none. The latest holds.
CREATE TABLE ballots (
  campaign_n BIGINT NOT NULL,
  seq        BIGINT NOT NULL,
  as_of      BIGINT NOT NULL,
  votes      TEXT   NOT NULL,              -- JSON array in the order of the voters
  PRIMARY KEY (campaign_n, seq, as_of)
) WITHOUT ROWID;

-- What came of each sender's messages, by the minute it was learned. Calls are
-- in sender_usage.
CREATE TABLE sender_activity (
  sender_n BIGINT NOT NULL,
  minute   BIGINT NOT NULL,
  kind     TEXT   NOT NULL,
  n        BIGINT NOT NULL,
  PRIMARY KEY (sender_n, minute, kind)
) WITHOUT ROWID;

-- How far each look through the provider's lists has come.
CREATE TABLE sweeps (
  sender_n BIGINT NOT NULL,
  kind     TEXT   NOT NULL,
  key      TEXT   NOT NULL DEFAULT '',
  mark     BIGINT NOT NULL DEFAULT 0,      -- everything before is known
  next_at  BIGINT NOT NULL DEFAULT 0,
  times    INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (sender_n, kind, key)
) WITHOUT ROWID;

-- What is known of numbers.
CREATE TABLE contacts (
  chat       TEXT    PRIMARY KEY NOT NULL,
  on_app     INTEGER NOT NULL CHECK (on_app IN (0, 1)),
  canonical  TEXT    NOT NULL DEFAULT '',
  checked_at BIGINT  NOT NULL
) WITHOUT ROWID;

-- Messages to other systems, until they have them.
CREATE TABLE notices (
  id         TEXT    PRIMARY KEY NOT NULL,
  campaign_n BIGINT  NOT NULL,
  url        TEXT    NOT NULL,
  kind       TEXT    NOT NULL,
  body       BLOB    NOT NULL,
  created    BIGINT  NOT NULL,
  next_at    BIGINT  NOT NULL,             -- 0: done
  attempts   INTEGER NOT NULL DEFAULT 0,
  failed     TEXT    NOT NULL DEFAULT ''
) WITHOUT ROWID;
-- By receiver: one that is down must not stand before the others.
CREATE INDEX notices_due ON notices (url, next_at) WHERE next_at > 0;
CREATE INDEX notices_by_campaign ON notices (campaign_n, created);

-- What was last seen of a sender's phone: in that state since, and looked at last.
ALTER TABLE senders ADD COLUMN phone_state    TEXT   NOT NULL DEFAULT '';
ALTER TABLE senders ADD COLUMN phone_since    BIGINT NOT NULL DEFAULT 0;
ALTER TABLE senders ADD COLUMN phone_seen     BIGINT NOT NULL DEFAULT 0;

-- counters gets a kind for answers. SQLite cannot change a CHECK; the table has
-- a few hundred rows.
CREATE TABLE counters_new (
  campaign_n BIGINT NOT NULL,
  kind       TEXT   NOT NULL CHECK (kind IN ('status', 'skip', 'fail', 'import', 'minute', 'answer')),
  key        TEXT   NOT NULL,
  n          BIGINT NOT NULL CHECK (n >= 0),
  PRIMARY KEY (campaign_n, kind, key)
) WITHOUT ROWID;
INSERT INTO counters_new SELECT campaign_n, kind, key, n FROM counters;
DROP TABLE counters;
ALTER TABLE counters_new RENAME TO counters;
