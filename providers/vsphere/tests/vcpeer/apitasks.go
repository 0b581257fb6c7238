// Tasks of the REST API, and how its calls are answered.

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

type apiError struct {
	status int
	kind   string
	text   string
}

func send(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// api is a handler that needs a session and obeys the rules of a test.
func (p *peer) api(name string, answer func(http.ResponseWriter, *http.Request, rule) *apiError) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.userOf(r) == "" {
			fail(w, &apiError{401, "UNAUTHENTICATED", "no session"})
			return
		}
		name := name
		if strings.HasSuffix(name, ".") {
			name += r.URL.Query().Get("action")
		}
		p.calls.add(name)
		rule := p.match(name, ref{Type: "ClusterComputeResource", Value: r.PathValue("cluster")})
		time.Sleep(time.Duration(rule.DelayMs) * time.Millisecond)
		if rule.Abort {
			panic(http.ErrAbortHandler)
		}
		if rule.Fault != "" && rule.Stage != "task" {
			status := map[string]int{"UNAUTHORIZED": 403, "NOT_FOUND": 404, "SERVICE_UNAVAILABLE": 503, "ERROR": 500}[rule.Fault]
			fail(w, &apiError{max(status, 400), rule.Fault, "planted by the test"})
			return
		}
		if e := answer(w, r, rule); e != nil {
			fail(w, e)
		}
	}
}

func fail(w http.ResponseWriter, e *apiError) {
	send(w, e.status, dict{"error_type": e.kind, "messages": []dict{words(e.text)}})
}

// apiTask is a task as cis/tasks tells it; images guards it.
type apiTask struct {
	p                *peer
	id, action, user string
	cluster          ref
	hosts            []string
	commit           string
	status           string // of the task
	done             int    // percent
	began, ended     time.Time
	each             dict // host -> ApplyStatus
	result           any
	err              dict
}

func (p *peer) startTask(action string, cluster ref, user string, hosts []string, commit string) *apiTask {
	id := fmt.Sprintf("%s:com.vmware.esx.settings.clusters.software", fmt.Sprintf("5200%04d-0000-4000-8000-000000000000", len(p.images.order)+1))
	t := &apiTask{p: p, id: id, action: action, user: user, cluster: cluster, hosts: hosts, commit: commit, status: "RUNNING", began: time.Now(), each: dict{}}
	p.images.tasks[id] = t
	p.images.order = append(p.images.order, id)
	return t
}

func (s *images) running(cluster ref) string {
	for id, t := range s.tasks {
		if t.cluster == cluster && t.status == "RUNNING" {
			return id
		}
	}
	return ""
}

// busy has another user's operation run until the user is nobody.
func (s *images) busy(p *peer, cluster ref, user string) {
	for _, t := range s.tasks {
		if t.cluster == cluster && t.action == "check" && t.hosts == nil {
			t.status, t.ended = "SUCCEEDED", time.Now()
		}
	}
	if user != "" {
		p.startTask("check", cluster, user, nil, "")
	}
}

func (t *apiTask) last(r rule, ms int) {
	if r.TaskMs > 0 {
		ms = r.TaskMs
	}
	time.Sleep(time.Duration(ms) * time.Millisecond)
}

func (t *apiTask) progress(percent int) {
	t.p.images.Lock()
	defer t.p.images.Unlock()
	t.done = percent
}

// host settles one host.
func (t *apiTask) host(id, status, why string) {
	notes := dict{}
	if why != "" {
		notes["errors"] = []dict{note("com.vmware.vcIntegrity.lifecycle.Remediate", why)}
	}
	s := dict{"status": status, "start_time": stamp(t.began), "end_time": stamp(time.Now()), "notifications": notes}
	if status != "SKIPPED" && status != "TIMED_OUT" {
		s["progress"] = dict{"total": 100, "completed": 100, "message": words("over")}
	}
	t.p.images.Lock()
	defer t.p.images.Unlock()
	t.each[id] = s
}

func (t *apiTask) settle() {
	t.p.images.Lock()
	defer t.p.images.Unlock()
	t.end()
}

func (t *apiTask) end() {
	t.result, t.ended, t.done = t.told(true), time.Now(), 100
	t.status = "SUCCEEDED"
	for _, s := range t.each {
		if s.(dict)["status"] != "OK" {
			t.status = "FAILED"
			t.err = dict{"error_type": "ERROR", "messages": []dict{words("remediation failed")}}
		}
	}
}

func (t *apiTask) succeed(result any) {
	t.p.images.Lock()
	defer t.p.images.Unlock()
	t.status, t.result, t.ended, t.done = "SUCCEEDED", result, time.Now(), 100
}

func (t *apiTask) fail(kind, text string) {
	t.p.images.Lock()
	defer t.p.images.Unlock()
	t.status, t.err, t.ended = "FAILED", dict{"error_type": kind, "messages": []dict{words(text)}}, time.Now()
}

// told is the StageResult or ApplyResult as far as it is known; the caller holds the images.
func (t *apiTask) told(over bool) dict {
	lists := map[string][]string{"OK": {}, "ERROR": {}, "SKIPPED": {}, "TIMED_OUT": {}}
	info := dict{}
	for _, h := range t.hosts {
		info[h] = dict{"name": t.p.name(ref{Type: "HostSystem", Value: h})}
		if s, ok := t.each[h].(dict); ok {
			lists[s["status"].(string)] = append(lists[s["status"].(string)], h)
		}
	}
	out := dict{"commit": t.commit, "host_info": info, "host_status": t.each, "successful_hosts": lists["OK"],
		"failed_hosts": append(lists["ERROR"], lists["TIMED_OUT"]...), "skipped_hosts": lists["SKIPPED"]}
	if over {
		status := "OK"
		if len(lists["OK"]) < len(t.hosts) {
			status = "ERROR"
		}
		out["status"] = dict{"status": status, "start_time": stamp(t.began), "end_time": stamp(time.Now()), "notifications": dict{},
			"progress": dict{"total": 100, "completed": 100, "message": words("over")}}
	}
	return out
}

// info is the task as the API tells it; the caller holds the images.
func (t *apiTask) info(result bool) dict {
	out := dict{"description": words(t.action), "service": "com.vmware.esx.settings.clusters.software", "operation": t.action + "$task",
		"target": dict{"type": t.cluster.Type, "id": t.cluster.Value}, "status": t.status, "cancelable": t.action == "check", "start_time": stamp(t.began), "user": t.user,
		"progress": dict{"total": 100, "completed": t.done, "message": words(t.action)}}
	if t.err != nil {
		out["error"] = t.err
	}
	if !t.ended.IsZero() {
		out["end_time"] = stamp(t.ended)
	}
	if result && t.result != nil {
		out["result"] = t.result
	} else if result && (t.action == "apply" || t.action == "stage") {
		out["result"] = t.told(false)
	}
	return out
}

func (p *peer) listTasks(w http.ResponseWriter, r *http.Request, _ rule) *apiError {
	services := r.URL.Query()["services"]
	if len(services) == 0 {
		return &apiError{400, "INVALID_ARGUMENT", "services: a filter is required"}
	}
	p.images.Lock()
	defer p.images.Unlock()
	all := dict{}
	for id, t := range p.images.tasks {
		if slices.Contains(services, "com.vmware.esx.settings.clusters.software") {
			all[id] = t.info(true)
		}
	}
	send(w, http.StatusOK, all)
	return nil
}

func (p *peer) getTask(w http.ResponseWriter, r *http.Request, _ rule) *apiError {
	p.images.Lock()
	defer p.images.Unlock()
	t := p.images.tasks[r.PathValue("task")]
	if t == nil {
		return &apiError{404, "NOT_FOUND", "no such task"}
	}
	send(w, http.StatusOK, t.info(true))
	return nil
}
