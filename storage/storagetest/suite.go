package storagetest

import (
	"testing"

	"github.com/herald-campaigns/herald/storage"
)

// Run runs the suite. open gives an empty store that is closed when its test
// ends.
func Run(t *testing.T, open func(t *testing.T) *storage.Store) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *storage.Store)
	}{
		{"campaign round trip", testCampaignRoundTrip},
		{"campaigns by name and age", testCampaignLists},
		{"transitions", testTransitions},
		{"draft cannot start while importing", testDraftWaitsForImport},
		{"completion needs balanced books", testCompletion},
		{"delete draft", testDeleteDraft},
		{"update plan", testUpdatePlan},
		{"bind mode", testBindMode},
		{"import", testImport},
		{"one row per chat", testOneRowPerChat},
		{"discard import", testDiscardImport},
		{"delta import", testDeltaImport},
		{"senders", testSenders},
		{"leases", testLeases},
		{"pending and staging", testPendingAndStaging},
		{"deferred rows", testDeferredRows},
		{"unstage", testUnstage},
		{"skip", testSkip},
		{"cancel", testCancel},
		{"claim refusals", testClaimRefusals},
		{"caps", testCaps},
		{"settle", testSettle},
		{"settle after evidence", testSettleAfterEvidence},
		{"late outcome", testLateOutcome},
		{"queue id clash", testQueueIDClash},
		{"settle as what is proven", testSettleProves},
		{"give back", testGiveBack},
		{"recover", testRecover},
		{"recover fences old epochs only", testRecoverFenced},
		{"evidence in any order", testEvidenceOrder},
		{"forged evidence", testForgedEvidence},
		{"polls", testPolls},
		{"adopt unknown", testAdoptUnknown},
		{"unknown rows", testUnknownRows},
		{"return unknown", testReturnUnknown},
		{"return unknown of a campaign that had ended", testReturnUnknownReopens},
		{"resend unknown", testResendUnknown},
		{"assume sent", testAssumeSent},
		{"resolution ends with unknown", testResolutionEnds},
		{"bound ids", testBoundIDs},
		{"witnesses", testWitnesses},
		{"visibility lag", testVisibilityLag},
		{"returned rows", testReturnedRows},
		{"proof of sending wins over a skip", testProofWinsOverSkip},
		{"nothing waits in a canceled campaign", testNothingWaitsWhenCanceled},
		{"deliveries", testDeliveries},
		{"replies", testReplies},
		{"pages of replies", testRepliesPages},
		{"opt-out", testOptOut},
		{"aliases", testAliases},
		{"no intent after an opt-out", testNoIntentAfterOptOut},
		{"reviews", testReviews},
		{"withdraw", testWithdraw},
		{"to withdraw", testToWithdraw},
		{"queued still", testQueuedStill},
		{"taken back before its outcome", testTakenBackBeforeItsOutcome},
		{"withdrawn", testWithdrawn},
		{"cancel cut short", testCancelCutShort},
		{"follow what is queued", testFollowQueued},
		{"due of what was taken back", testDueTakenBack},
		{"odd news", testOddNews},
		{"votes", testVotes},
		{"votes without a time", testUndatedVotes},
		{"opt-outs without a reason", testUnsaidReasons},
		{"a vote without a time is told of once", testUndatedVoteNotice},
		{"news in any order", testNewsOrder},
		{"notices", testNotices},
		{"locate", testLocate},
		{"latest message to a chat", testLatestTo},
		{"retry", testRetry},
		{"former ids", testFormerIDs},
		{"polls to watch", testPollWatches},
		{"sweeps", testSweeps},
		{"contacts", testContacts},
		{"phones", testPhones},
		{"sender activity", testSenderActivity},
		{"lists and pages", testLists},
		{"timing", testTiming},
		{"one claim wins", testOneClaimWins},
		{"parallel sends", testParallelSends},
		{"canceled callers", testCanceledCallers},
		{"failure hurts only itself", testFailureIsolated},
		{"books balance after anything", testModel},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			test.run(t, s)
			// Whatever a test did, counters and rows agree at its end.
			if err := s.IntegrityCheck(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
