-- When the ledger learned that a chat must not be written to: what is queued
-- for it is taken out of the provider's queue for a while, also after a restart.
-- 0: before this was kept.

-- +goose Up

ALTER TABLE suppressions ADD COLUMN learned BIGINT NOT NULL DEFAULT 0;
CREATE INDEX suppressions_learned ON suppressions (learned) WHERE learned > 0;
