// vLCM: what it finds when hosts are checked before an image is put into them.

package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// unfit is one thing that a check finds at a host, or at the cluster under its own name.
type unfit struct {
	Check  string `json:"check"`
	What   string `json:"what"`
	Remedy string `json:"remedy"` // none: it has texts only, as before 8.0
	Status string `json:"status"` // ERROR where a test does not say
}

func (u unfit) status() string {
	if u.Status == "" {
		return "ERROR"
	}
	return u.Status
}

// check looks at hosts, and keeps what it found as the last result.
func (p *peer) check(t *apiTask, cluster ref, i *image, hosts []string, r rule) {
	ms := 200
	if r.TaskMs > 0 {
		ms = r.TaskMs
	}
	for end := time.Now().Add(time.Duration(ms) * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if t.isOver() {
			return
		}
	}
	p.images.Lock()
	defer p.images.Unlock()
	if t.status != "RUNNING" {
		return
	}
	t.ended, t.done, t.status = time.Now(), 100, "SUCCEEDED"
	t.result = p.found(t, cluster, i, hosts, func(status string) string { return status })
	// The type of the report has no word for what may pass the next time.
	i.Checked = p.found(t, cluster, i, hosts, func(status string) string { return strings.ReplaceAll(status, "RETRY", "ERROR") })
}

// found is the result of a check; the caller holds the images.
func (p *peer) found(t *apiTask, cluster ref, i *image, hosts []string, word func(string) string) dict {
	worst, info := "OK", dict{}
	entities := []dict{}
	look := func(kind, id, name string) {
		found := i.Unfit[name]
		status, checks := "OK", []dict{}
		for _, u := range found {
			status, worst = worse(status, u.status()), worse(worst, u.status())
			checks = append(checks, u.told(word))
		}
		checks = append(checks, dict{"check": about("Connected"), "status": "OK", "issues": []dict{}})
		key := "host"
		if kind == "CLUSTER" {
			key = "cluster"
		}
		entities = append(entities, dict{"type": kind, key: id, "status": word(status), "check_statuses": checks})
	}
	look("CLUSTER", cluster.Value, p.name(cluster))
	for _, id := range hosts {
		name := p.name(ref{Type: "HostSystem", Value: id})
		info[id] = dict{"name": name}
		if name != i.Unchecked {
			look("HOST", id, name)
		}
	}
	return dict{"status": word(worst), "start_time": stamp(t.began), "end_time": stamp(t.ended), "commit": fmt.Sprint(i.Commit), "host_info": info, "entity_results": entities}
}

func worse(a, b string) string {
	rank := map[string]int{"OK": 0, "WARNING": 1, "RETRY": 2, "TIMEOUT": 3, "ERROR": 4}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

func about(name string) dict {
	return dict{"check": name, "name": words(name), "description": words(name)}
}

func (u unfit) told(word func(string) string) dict {
	told := dict{"check": about(u.Check), "status": word(u.status()), "issues": []dict{words(u.What)}}
	if u.Remedy != "" {
		told["check_issues"] = []dict{{"description": words(u.What), "resolution": words(u.Remedy)}}
	}
	return told
}

func (t *apiTask) isOver() bool {
	t.p.images.Lock()
	defer t.p.images.Unlock()
	return t.status != "RUNNING"
}

// cancelTask ends a check; the rest cannot be ended.
func (p *peer) cancelTask(w http.ResponseWriter, r *http.Request, _ rule) *apiError {
	p.images.Lock()
	defer p.images.Unlock()
	t := p.images.tasks[r.PathValue("task")]
	switch {
	case t == nil:
		return &apiError{404, "NOT_FOUND", "no such task"}
	case t.status != "RUNNING":
		return &apiError{400, "NOT_ALLOWED_IN_CURRENT_STATE", "it is over"}
	case t.action != "check":
		return &apiError{400, "UNSUPPORTED", "it cannot be cancelled"}
	}
	t.status, t.ended = "FAILED", time.Now()
	t.err = dict{"error_type": "CANCELED", "messages": []dict{words("cancelled by its user")}}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
