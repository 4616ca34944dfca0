-- Messages that were taken back out of the provider's queue, and that it said
-- afterwards are in it still: they are taken out once more (campaign.Recall).

-- +goose Up

CREATE INDEX recipients_still_queued ON recipients (campaign_n, seq) WHERE polls < 0;
