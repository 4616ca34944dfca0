-- What reconciliation keeps.
--
-- No CHECK on the new columns: SQLite would read every row to test it, and an
-- upgrade in the middle of a campaign must not make a million rows wait.

-- +goose Up

-- What a person or a policy decided about an unknown row (campaign.Resolution).
ALTER TABLE recipients ADD COLUMN resolution TEXT NOT NULL DEFAULT '';

-- The longest time between an acceptance and its appearance in the provider's
-- lists, in milliseconds; -1: never measured.
ALTER TABLE senders ADD COLUMN lag_ms BIGINT NOT NULL DEFAULT -1;
