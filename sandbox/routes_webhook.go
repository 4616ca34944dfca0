package sandbox

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// hook is one webhook subscription: one URL, one event.
type hook struct {
	ID              string         `json:"id"`
	SubscribedAt    string         `json:"subscribed_at"`
	IsSubscribed    bool           `json:"is_subscribed"`
	IntegrationName string         `json:"integration_name"`
	IntegrationType string         `json:"integration_type"`
	Type            string         `json:"type"`
	Metadata        map[string]any `json:"integration_metadata"`
	OrgID           string         `json:"org_id"`
	HookURL         string         `json:"hook_url"`
	IntegrationID   string         `json:"integration_id"`
}

// hookRequest is the body of create and update. Requests are in camelCase,
// answers in snake_case, as in the real API.
type hookRequest struct {
	HookURL         *string         `json:"hookUrl"`
	IntegrationName json.RawMessage `json:"integrationName"`
	Metadata        map[string]any  `json:"integrationMetadata"`
	IntegrationType string          `json:"integrationType"`
	Type            string          `json:"type"`
	Name            string          `json:"name"`
	IsSubscribed    *bool           `json:"isSubscribed"`
}

// events are the names of the public list.
var events = []string{
	"chat.created", "chat.notification.created", "chat.custom_properties.updated", "message.created", "message.updated",
	"message.deleted", "message.ack.updated", "message.ticket.attached", "message.flagged", "message.unflagged",
	"reaction.created", "reaction.updated", "ticket.created", "ticket.updated", "ticket.deleted", "note.created",
	"org.phone.updated", "org.phone.connected", "org.phone.disconnected", "org.phone.qr",
}

// specEvents are named only on the page that documents sending.
var specEvents = []string{"message.sent", "message.delivered", "message.read", "message.failed"}

// names reads integrationName, which is a string or an array of strings.
func (r *hookRequest) names() (names []string, many bool) {
	one := ""
	if json.Unmarshal(r.IntegrationName, &one) == nil {
		return []string{one}, false
	}
	_ = json.Unmarshal(r.IntegrationName, &names) // neither: no names, which is refused
	return names, true
}

func (r *hookRequest) check(c *call, names []string) (answer, bool) {
	if r.HookURL != nil {
		if u, err := url.Parse(*r.HookURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return invalid("Invalid hookUrl", fields{"hookUrl": {Message: "hookUrl must be an http or https URL", Value: *r.HookURL}}), false
		}
	}
	for _, name := range names {
		known := slices.Contains(events, name)
		if !c.s.cfg.Wire.RejectSpecEvents {
			known = known || slices.Contains(specEvents, name)
		}
		if !known {
			return invalid("Invalid integrationName", fields{"integrationName": {Message: "unknown event", Value: name}}), false
		}
	}
	return answer{}, true
}

func createHook(c *call) answer {
	var req hookRequest
	if a, ok := c.decode(&req); !ok {
		return a
	}
	names, many := req.names()
	var absent []string
	if req.HookURL == nil || *req.HookURL == "" {
		absent = append(absent, "hookUrl")
	}
	if len(names) == 0 || slices.Contains(names, "") {
		absent = append(absent, "integrationName")
	}
	if len(absent) > 0 {
		return missing(true, absent...)
	}
	if a, ok := req.check(c, names); !ok {
		return a
	}
	made, err := c.s.engine.addHooks(&req, names, c.s.org)
	if err != nil {
		return c.internal(err)
	}
	if many || c.s.cfg.Wire.WebhookArray {
		return reply(http.StatusCreated, made)
	}
	return reply(http.StatusCreated, made[0])
}

func (e *engine) addHooks(req *hookRequest, names []string, org string) ([]hook, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	integration := e.newID()
	var made []hook
	for _, name := range names {
		h := hook{
			ID: e.newID(), SubscribedAt: stamp(now), IsSubscribed: true, IntegrationName: name,
			IntegrationType: orElse(req.IntegrationType, "webhook"), Type: orElse(req.Type, "webhook"),
			Metadata: map[string]any{"id": integration, "name": orElse(req.Name, *req.HookURL)},
			OrgID:    org, HookURL: *req.HookURL, IntegrationID: integration,
		}
		maps.Copy(h.Metadata, req.Metadata)
		if err := e.journal.write(record{Op: opHook, At: now, Hook: &h, Made: e.made}); err != nil {
			return nil, err
		}
		e.putHook(h)
		made = append(made, h)
	}
	return made, nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// putHook adds a webhook or replaces the one with its id.
func (e *engine) putHook(h hook) {
	defer e.hooksChanged()
	if i := e.hookIndex(h.ID); i >= 0 {
		e.hooks[i] = h
		return
	}
	e.hooks = append(e.hooks, h)
}

func (e *engine) dropHook(id string) {
	e.hooks = slices.DeleteFunc(e.hooks, func(h hook) bool { return h.ID == id })
	e.hooksChanged()
}

func (e *engine) hookIndex(id string) int {
	return slices.IndexFunc(e.hooks, func(h hook) bool { return h.ID == id })
}

func listHooks(c *call) answer {
	q, out := c.r.URL.Query(), []hook{}
	matches := func(name, value string) bool { return !q.Has(name) || q.Get(name) == value }
	e := c.s.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.hooks {
		if matches("integration_name", h.IntegrationName) && matches("type", h.Type) && matches("hook_url", h.HookURL) &&
			matches("is_subscribed", strconv.FormatBool(h.IsSubscribed)) && matches("integration_id", h.IntegrationID) {
			out = append(out, h)
		}
	}
	return reply(http.StatusOK, out)
}

func getHook(c *call) answer {
	e := c.s.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	i := e.hookIndex(c.r.PathValue("id"))
	if i < 0 {
		return notFound("Webhook not found")
	}
	return reply(http.StatusOK, e.hooks[i])
}

func patchHook(c *call) answer {
	var req hookRequest
	if a, ok := c.decode(&req); !ok {
		return a
	}
	var names []string
	if len(req.IntegrationName) > 0 {
		if names, _ = req.names(); len(names) != 1 {
			return invalid("Invalid integrationName", fields{"integrationName": {Message: "integrationName must be one event"}})
		}
	}
	if a, ok := req.check(c, names); !ok {
		return a
	}
	e := c.s.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	i := e.hookIndex(c.r.PathValue("id"))
	if i < 0 {
		return notFound("Webhook not found")
	}
	h := e.hooks[i]
	if req.HookURL != nil {
		h.HookURL = *req.HookURL
	}
	if len(names) == 1 {
		h.IntegrationName = names[0]
	}
	if req.IsSubscribed != nil {
		h.IsSubscribed = *req.IsSubscribed
	}
	if req.Metadata != nil {
		h.Metadata = req.Metadata
	}
	h.IntegrationType, h.Type = orElse(req.IntegrationType, h.IntegrationType), orElse(req.Type, h.Type)
	if err := e.journal.write(record{Op: opHook, At: e.now(), Hook: &h, Made: e.made}); err != nil {
		return c.internal(err)
	}
	e.putHook(h)
	return reply(http.StatusOK, h)
}

func deleteHook(c *call) answer {
	e, id := c.s.engine, c.r.PathValue("id")
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hookIndex(id) < 0 {
		return notFound("Webhook not found")
	}
	if err := e.journal.write(record{Op: opUnhook, At: e.now(), Hook: &hook{ID: id}}); err != nil {
		return c.internal(err)
	}
	e.dropHook(id)
	return answer{status: http.StatusNoContent}
}
