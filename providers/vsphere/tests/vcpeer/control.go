// The endpoint by which a test bends the peer and reads what happened.

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

func (p *peer) control() http.Handler {
	mux := http.NewServeMux()
	get := func(path string, f func() any) {
		mux.HandleFunc("GET /patchcore/"+path, func(w http.ResponseWriter, _ *http.Request) {
			p.mu.Lock()
			defer p.mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(f())
		})
	}
	post := func(path string, in func() any, f func(any) error) {
		mux.HandleFunc("POST /patchcore/"+path, func(w http.ResponseWriter, r *http.Request) {
			v := in()
			d := json.NewDecoder(r.Body)
			d.DisallowUnknownFields()
			err := d.Decode(v)
			if err == nil {
				err = f(v)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
	get("violations", func() any { return append([]entry{}, p.violations...) })
	get("journal", func() any { return append([]entry{}, p.journal...) })
	get("rules", func() any { return append([]*rule{}, p.rules...) })
	get("settings", func() any { return p.cfg })
	mux.HandleFunc("GET /patchcore/calls", func(w http.ResponseWriter, _ *http.Request) {
		send(w, http.StatusOK, p.calls.all())
	})
	mux.HandleFunc("DELETE /patchcore/calls", func(w http.ResponseWriter, _ *http.Request) {
		p.calls.clear()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /patchcore/running", func(w http.ResponseWriter, _ *http.Request) {
		send(w, http.StatusOK, p.running())
	})
	mux.HandleFunc("GET /patchcore/truth", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(p.truth())
	})
	get("hosts", func() any {
		out := map[string]dict{}
		for r, h := range p.hosts {
			out[h.name] = dict{"id": r.Value, "maintenance": h.mm, "entering": h.entering, "down": h.down, "powered_on": len(p.on(r))}
		}
		return out
	})
	post("rules", func() any { return new(rule) }, func(v any) error {
		r := v.(*rule)
		if f := r.Fault; f != "" && !strings.Contains(r.Method, ".") { // those of REST calls are words of that API
			if x, ok := newFault(f).(*types.SystemErrorFault); ok && x.Reason != "" {
				return fmt.Errorf("%s", x.Reason)
			}
		}
		p.mu.Lock()
		p.rules = append(p.rules, r)
		p.mu.Unlock()
		return nil
	})
	mux.HandleFunc("DELETE /patchcore/rules", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		p.rules = nil
		p.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	})
	post("settings", func() any { p.mu.Lock(); defer p.mu.Unlock(); c := p.cfg; return &c }, func(v any) error {
		p.mu.Lock()
		p.cfg = *v.(*settings)
		p.mu.Unlock()
		return nil
	})
	type hostReq struct {
		Name   string `json:"name"`
		Set    dict   `json:"set"`     // now
		OnBoot dict   `json:"on_boot"` // when it next comes back from a reboot
		By     string `json:"by"`      // this user puts it into maintenance mode, by a task of theirs
	}
	post("host", func() any { return new(hostReq) }, func(v any) error {
		q := v.(*hostReq)
		p.mu.Lock()
		var id ref
		for r, h := range p.hosts {
			if h.name == q.Name {
				id = r
				if q.OnBoot != nil {
					h.onBoot = q.OnBoot
				}
			}
		}
		p.mu.Unlock()
		if id.Value == "" {
			return fmt.Errorf("no host %q", q.Name)
		}
		if q.By != "" {
			p.start(p.own(q.By), id, "EnterMaintenanceMode_Task", "HostSystem.enterMaintenanceMode", func(j *job) fault {
				return p.enter(j, id, &types.EnterMaintenanceMode_Task{This: id})
			})
		}
		return p.setHost(p.own("vcpeer"), id, q.Set)
	})
	post("machine", func() any { return new(machineReq) }, func(v any) error { return p.setMachine(v.(*machineReq)) })
	post("store", func() any { return new(storeReq) }, func(v any) error { return p.setStore(v.(*storeReq)) })
	post("cluster", func() any { return new(clusterReq) }, func(v any) error { return p.setCluster(v.(*clusterReq)) })
	post("around", func() any { return new(aroundReq) }, func(v any) error { return p.setAround(v.(*aroundReq)) })
	post("snapshots", func() any { return new(snapshotReq) }, func(v any) error { return p.setSnapshots(v.(*snapshotReq)) })
	post("scheduled", func() any { return new(scheduleReq) }, func(v any) error { return p.setScheduled(v.(*scheduleReq)) })
	post("extension", func() any { return new(extensionReq) }, func(v any) error { return p.setExtension(v.(*extensionReq)) })
	post("rights", func() any { return new(rightsReq) }, func(v any) error {
		p.mu.Lock()
		p.missing = v.(*rightsReq).Missing
		p.mu.Unlock()
		return nil
	})
	post("image", func() any { return new(imageReq) }, func(v any) error { return p.setImage(v.(*imageReq)) })
	post("end-sessions", func() any { return &struct{}{} }, func(any) error { return p.endSessions() })
	return mux
}
