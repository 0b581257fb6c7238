// What was asked of the REST API and answered, for who holds it against the vendor's types.

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
)

type recorder struct {
	sync.Mutex
	to *os.File // none: nobody asked for it
}

type recorded struct {
	Method string            `json:"method"`
	Path   string            `json:"path"` // below /api
	Query  map[string]string `json:"query"`
	Body   any               `json:"body"`
	Status int               `json:"status"`
	Answer any               `json:"answer"`
}

// record writes each call and its answer as a line of JSON; sessions are written without their token.
func (rec *recorder) record(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if rec.to == nil {
			next(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		kept := httptest.NewRecorder()
		next(kept, r)
		for key, values := range kept.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(kept.Code)
		_, _ = w.Write(kept.Body.Bytes())
		line := recorded{Method: r.Method, Path: strings.TrimPrefix(r.URL.Path, "/api"), Query: map[string]string{}, Status: kept.Code}
		for key := range r.URL.Query() {
			line.Query[key] = r.URL.Query().Get(key)
		}
		_ = json.Unmarshal(body, &line.Body)
		_ = json.Unmarshal(kept.Body.Bytes(), &line.Answer)
		if line.Path == "/session" && kept.Code < 400 && line.Answer != nil {
			line.Answer = "a token"
		}
		rec.Lock()
		defer rec.Unlock()
		_ = json.NewEncoder(rec.to).Encode(line)
	}
}
