package gateway

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/herald-campaigns/herald/campaign"
	"github.com/herald-campaigns/herald/periskope"
)

// MediaOpener gives the local files of campaigns, kept under the lower-case
// hex SHA-256 of their content.
type MediaOpener interface {
	OpenMedia(hash string) (io.ReadCloser, error)
}

// Config tunes a Gateway; its zero value is right for the real API.
type Config struct {
	// Visibility is how long after a send the provider may answer that it does
	// not know the message; 0 means 10 s (dossier §5).
	Visibility time.Duration
}

func (c Config) withDefaults() Config {
	if c.Visibility <= 0 {
		c.Visibility = 10 * time.Second
	}
	return c
}

// Gateway speaks the domain's language to the API. It is safe for concurrent
// use.
type Gateway struct {
	client *periskope.Client
	media  MediaOpener
	config Config
}

// New makes a gateway. media may be nil if no campaign sends local files.
func New(client *periskope.Client, media MediaOpener, config Config) *Gateway {
	return &Gateway{client: client, media: media, config: config.withDefaults()}
}

// Send makes one call of the send API for the task, whose intent must be
// durable. Whatever happens is an outcome. Send never makes a second request.
//
// begin is asked right before the first byte of the message leaves, when a
// connection is there; an error keeps it from leaving and makes the outcome
// unavailable. A nil begin allows it.
func (g *Gateway) Send(ctx context.Context, sender campaign.Sender, task campaign.Task, begin func() error) campaign.Outcome {
	request, err := g.request(task)
	if err != nil {
		return campaign.Outcome{
			Kind:          classify(0, replyNoFile),
			Pause:         campaign.PauseMedia,
			QueuePosition: -1,
			Detail:        detail(periskope.MaskNumbers(err.Error())),
		}
	}
	request.Begin = begin
	response, err := g.client.Send(ctx, string(sender.Phone), request)
	if err != nil {
		return failed(err)
	}
	return accepted(response)
}

// request is the task in the wire's terms. An error means that its file cannot
// be had at the moment.
func (g *Gateway) request(task campaign.Task) (periskope.SendRequest, error) {
	m := task.Message
	r := periskope.SendRequest{
		ChatID:         string(task.Chat),
		Message:        m.Text,
		ReplyTo:        m.ReplyTo,
		HideURLPreview: m.HidePreview,
	}
	if p := m.Poll; p != nil {
		r.Poll = &periskope.Poll{Name: p.Question, Options: p.Options, AllowMultipleAnswers: p.Multiple, PollID: p.PollID}
	}
	if m.Media == nil {
		return r, nil
	}
	r.Media = &periskope.Media{
		Type:     periskope.MediaType(m.Media.Type),
		URL:      m.Media.URL,
		Filename: m.Media.Filename,
		MIMEType: m.Media.MIME,
	}
	if m.Media.Hash == "" {
		return r, nil
	}
	return r, g.attach(r.Media, m.Media)
}

// attach opens the file, so that a missing one is found before anything is
// sent, and streams it where its size is known.
func (g *Gateway) attach(to *periskope.Media, m *campaign.Media) error {
	if g.media == nil {
		return fmt.Errorf("the media file cannot be read: no media store is configured")
	}
	file, err := g.media.OpenMedia(m.Hash)
	if err != nil {
		return fmt.Errorf("the media file cannot be read: %w", err)
	}
	if size, ok := sizeOf(file); ok && size > 0 {
		to.File, to.Size = file, size
		return nil
	}
	defer func() { _ = file.Close() }()
	if to.FileData, err = io.ReadAll(file); err != nil {
		return fmt.Errorf("the media file cannot be read: %w", err)
	}
	return nil
}

// sizeOf is the size of what is a file. The size in the task is not relied
// on: a request that announces another length than it has would be cut short
// after it began, and its outcome be unknown.
func sizeOf(r io.Reader) (int64, bool) {
	file, ok := r.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return 0, false
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Size(), true
}
