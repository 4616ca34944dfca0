package storage

import (
	"context"
	"fmt"

	"github.com/herald-campaigns/herald/campaign"
)

// AnswersSeen changes whenever a reply or a vote on a campaign's messages is
// kept: counts and latest times, in the order of the tables. It says nothing
// else, and costs a look at an index.
func (s *Store) AnswersSeen(ctx context.Context, id campaign.ID) ([4]int64, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return [4]int64{}, s.fail("look for answers", err)
	}
	var seen [4]int64
	err = s.readers.QueryRowxContext(ctx, s.readers.Rebind(answersSeenQuery), number, number).
		Scan(&seen[0], &seen[1], &seen[2], &seen[3])
	return seen, s.fail(fmt.Sprintf("look for answers to campaign %s", id), err)
}

const answersSeenQuery = `
	SELECT r.n, r.latest, b.n, b.latest
	FROM (SELECT COUNT(*) AS n, COALESCE(MAX(at), 0) AS latest FROM replies WHERE campaign_n = ? AND campaign_n > 0) r,
	     (SELECT COUNT(*) AS n, COALESCE(MAX(as_of), 0) AS latest FROM ballots WHERE campaign_n = ?) b`
