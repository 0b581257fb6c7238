// The REST login that the simulator lacks.

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
)

// apiSession adds the login of vSphere 7 and later, which the simulator lacks: an example of how REST
// gaps can be filled. It passes the Basic credentials on to the old path and unwraps the answer.
func apiSession(mux http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		old := r.Clone(r.Context())
		old.URL.Path = "/rest/com/vmware/cis/session"
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, old)
		var v struct{ Value string }
		if rec.Code != http.StatusOK || json.Unmarshal(rec.Body.Bytes(), &v) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(v.Value)
	}
}
