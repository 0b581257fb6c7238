// The REST login that the simulator lacks.

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
)

// apiSession adds the login of vSphere 7 and later, which the simulator lacks. It passes the Basic credentials on to the
// old path, unwraps the answer and remembers whose it is, for the calls that are the peer's own.
func (p *peer) apiSession(mux http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.calls.add("session.login")
		if p.match("session.login", ref{}).Fault != "" {
			fail(w, &apiError{401, "UNAUTHENTICATED", "planted by the test"})
			return
		}
		old := r.Clone(r.Context())
		old.URL.Path = "/rest/com/vmware/cis/session"
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, old)
		var v struct{ Value string }
		if rec.Code != http.StatusOK || json.Unmarshal(rec.Body.Bytes(), &v) != nil {
			fail(w, &apiError{401, "UNAUTHENTICATED", "wrong name or password"})
			return
		}
		user, _, _ := r.BasicAuth()
		p.mu.Lock()
		p.sessions[v.Value] = user
		p.mu.Unlock()
		send(w, http.StatusCreated, v.Value)
	}
}

// logOut ends the session of who calls.
func (p *peer) logOut(w http.ResponseWriter, r *http.Request) {
	p.calls.add("session.logout")
	p.mu.Lock()
	delete(p.sessions, r.Header.Get("vmware-api-session-id"))
	p.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// userOf says who calls; nobody where the session is not, or no longer, known.
func (p *peer) userOf(r *http.Request) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions[r.Header.Get("vmware-api-session-id")]
}
