package notices

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/herald-campaigns/herald/campaign"
)

// MaxBody is how many bytes a Listener takes.
const MaxBody = 1 << 20

// Heard is a notice as it arrived at a Listener.
type Heard struct {
	At     time.Time
	ID     string // webhook-id: equal for repetitions
	Kind   campaign.NoticeKind
	Body   []byte
	Header http.Header
	Fault  string // why it was refused; "" for a genuine notice
}

// NewListener is the receiving end of notices, for development: it verifies each
// as a receiver should, hands it to heard and answers with the status that one
// gives. What is not genuine is answered 401 whatever heard says.
func NewListener(secret Secret, heard func(Heard) (status int)) (http.Handler, error) {
	if err := secret.validate(); err != nil {
		return nil, &campaign.Error{Code: campaign.CodeInvalid, What: "the secret of notices " + err.Error()}
	}
	verifier, err := standardwebhooks.NewWebhook(string(secret))
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			refuse(w, http.StatusMethodNotAllowed, "notices come by POST")
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
		if err != nil {
			refuse(w, http.StatusBadRequest, "the body is too long or did not come to its end")
			return
		}
		notice := Heard{At: time.Now(), ID: r.Header.Get(standardwebhooks.HeaderWebhookID), Body: body, Header: r.Header}
		if err := verifier.Verify(body, r.Header); err != nil {
			notice.Fault = fault(err)
			notice.Body = nil
			heard(notice)
			refuse(w, http.StatusUnauthorized, notice.Fault)
			return
		}
		var envelope struct {
			Type campaign.NoticeKind `json:"type"`
		}
		_ = json.Unmarshal(body, &envelope) // without a type it is shown without one
		notice.Kind = envelope.Type
		w.WriteHeader(heard(notice))
	}), nil
}

func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, why+"\n") // the caller may be gone
}

// fault says in a word what the library found.
func fault(err error) string {
	switch {
	case errors.Is(err, standardwebhooks.ErrMessageTooOld), errors.Is(err, standardwebhooks.ErrMessageTooNew):
		return "its time is more than five minutes away"
	case errors.Is(err, standardwebhooks.ErrNoMatchingSignature):
		return "not signed with the secret"
	case errors.Is(err, standardwebhooks.ErrRequiredHeaders):
		return "not signed"
	}
	return "its signature cannot be read"
}
