// vLCM: reading the image of a cluster, comparing hosts to it, staging it and putting it in.

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// apiSpec is the body of check, stage and apply.
type apiSpec struct {
	Commit *string  `json:"commit"`
	Hosts  []string `json:"hosts"`
	Eula   bool     `json:"accept_eula"`
}

// lifecycle registers what the simulator lacks. Each call needs a session, and is subject to the rules of a test under
// the name in front, with the name of the cluster as its object.
func (p *peer) lifecycle(mux *http.ServeMux) {
	const base = "/api/esx/settings/clusters/{cluster}/"
	read := func(path, name string, answer func(ref, *image) any) {
		mux.HandleFunc("GET "+base+path, p.record.record(p.api(name, func(w http.ResponseWriter, r *http.Request, _ rule) *apiError {
			p.images.Lock()
			defer p.images.Unlock()
			i := p.imageOf(r.PathValue("cluster"))
			if i == nil {
				return &apiError{404, "NOT_FOUND", "no such cluster"}
			}
			if !i.Managed && name != "vlcm.enablement" {
				return &apiError{404, "NOT_FOUND", "the cluster has no desired software document"}
			}
			send(w, http.StatusOK, answer(ref{Type: "ClusterComputeResource", Value: r.PathValue("cluster")}, i))
			return nil
		})))
	}
	read("enablement/software", "vlcm.enablement", func(_ ref, i *image) any { return dict{"enabled": i.Managed} })
	read("software", "vlcm.software", func(_ ref, i *image) any {
		release, _ := product(i.Version)
		return dict{"base_image": dict{"version": i.Version, "details": dict{"display_name": "ESXi", "display_version": release, "release_date": "2026-11-01T00:00:00.000Z"}},
			"components": dict{}, "solutions": dict{}}
	})
	read("software/compliance", "vlcm.compliance", func(c ref, i *image) any { return p.compliance(c, i) })
	mux.HandleFunc("GET "+base+"software/reports/last-check-result", p.record.record(p.api("vlcm.last-check", func(w http.ResponseWriter, r *http.Request, _ rule) *apiError {
		p.images.Lock()
		defer p.images.Unlock()
		i := p.imageOf(r.PathValue("cluster"))
		if i == nil || i.Checked == nil {
			return &apiError{404, "NOT_FOUND", "no result of a check"}
		}
		send(w, http.StatusOK, i.Checked)
		return nil
	})))
	read("policies/apply/effective", "vlcm.policies", func(_ ref, i *image) any { return i.Policy })
	mux.HandleFunc("POST "+base+"software", p.record.record(p.api("vlcm.", p.act)))
	mux.HandleFunc("GET /api/cis/tasks", p.record.record(p.api("cis.tasks", p.listTasks)))
	mux.HandleFunc("GET /api/cis/tasks/{task}", p.record.record(p.api("cis.task", p.getTask)))
	mux.HandleFunc("POST /api/cis/tasks/{task}", p.record.record(p.api("cis.cancel", p.cancelTask)))
}

// act begins a scan, check, stage or apply as a task.
func (p *peer) act(w http.ResponseWriter, r *http.Request, rule rule) *apiError {
	action := r.URL.Query().Get("action")
	if r.URL.Query().Get("vmw-task") != "true" {
		return &apiError{400, "INVALID_ARGUMENT", "vmw-task=true is missing"}
	}
	var spec apiSpec
	if r.ContentLength > 0 {
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&spec); err != nil {
			return &apiError{400, "INVALID_ARGUMENT", err.Error()}
		}
	}
	p.images.Lock()
	defer p.images.Unlock()
	cluster := ref{Type: "ClusterComputeResource", Value: r.PathValue("cluster")}
	i := p.images.of[cluster]
	if i == nil || !i.Managed {
		return &apiError{404, "NOT_FOUND", "no such cluster, or it has no desired software document"}
	}
	if running := p.images.running(cluster); running != "" {
		return &apiError{400, "NOT_ALLOWED_IN_CURRENT_STATE", "another operation is in progress: " + running}
	}
	if spec.Commit != nil {
		var commit int
		if _, err := fmt.Sscan(*spec.Commit, &commit); err != nil || commit < 1 || commit > i.Commit {
			return &apiError{400, "INVALID_ARGUMENT", "no such commit"}
		}
	}
	known := map[string]bool{}
	var all []string
	for _, h := range p.hostsOf(cluster) {
		known[h.Self.Value] = true
		all = append(all, h.Self.Value)
	}
	for _, h := range spec.Hosts {
		if !known[h] {
			return &apiError{400, "INVALID_ARGUMENT", "no host " + h + " in the cluster"}
		}
	}
	if spec.Hosts == nil {
		spec.Hosts = all
	}
	var work func(*apiTask)
	switch action {
	case "scan":
		work = func(t *apiTask) {
			t.last(rule, 200)
			p.images.Lock()
			i.scan()
			result := p.compliance(cluster, i)
			p.images.Unlock()
			t.succeed(result)
		}
	case "check":
		work = func(t *apiTask) { p.check(t, cluster, i, spec.Hosts, rule) }
	case "stage":
		work = func(t *apiTask) { p.stage(t, i, spec.Hosts, rule) }
	case "apply":
		if !spec.Eula {
			return &apiError{500, "ERROR", "the EULA was not accepted"}
		}
		if i.During != "" {
			i.Version, i.Commit, i.During = i.During, i.Commit+1, ""
		}
		if p.allCompliant(i, spec.Hosts) {
			return &apiError{400, "ALREADY_IN_DESIRED_STATE", "the hosts are at this commit"}
		}
		work = func(t *apiTask) { p.apply(t, cluster, i, spec.Hosts, rule) }
	default:
		return &apiError{400, "UNSUPPORTED", "no action " + action}
	}
	t := p.startTask(action, cluster, p.userOf(r), spec.Hosts, fmt.Sprint(i.Commit))
	if rule.Fault != "" && rule.Stage == "task" {
		work = func(t *apiTask) { t.last(rule, 200); t.fail(rule.Fault, "planted by the test") }
	}
	go work(t)
	if rule.LoseReply {
		panic(http.ErrAbortHandler)
	}
	send(w, http.StatusAccepted, t.id)
	return nil
}

func (p *peer) allCompliant(i *image, hosts []string) bool {
	for _, id := range hosts {
		if p.compare(p.host(ref{Type: "HostSystem", Value: id}), i, i.Version)["status"] != "COMPLIANT" {
			return false
		}
	}
	return true
}

func (p *peer) stage(t *apiTask, i *image, hosts []string, rule rule) {
	t.last(rule, 200)
	for _, id := range hosts {
		p.images.Lock()
		i.Staged[p.name(ref{Type: "HostSystem", Value: id})] = i.Commit
		p.images.Unlock()
		t.host(id, "OK", "")
	}
	t.settle()
}

// apply puts the image into one host after the other. Unlike a vCenter it drains nothing: a host with running machines
// fails, so that whoever left the draining to it is found out.
func (p *peer) apply(t *apiTask, cluster ref, i *image, hosts []string, rule rule) {
	for n, id := range hosts {
		h := ref{Type: "HostSystem", Value: id}
		name := p.name(h)
		p.images.Lock()
		bad, incompatible, version, restarts := i.Sabotage[name], i.Incompatible[name], i.Version, i.Restarts
		p.images.Unlock()
		p.mu.Lock()
		st := p.hosts[h]
		mm, down, on := st.mm, st.down, len(p.on(h))
		p.mu.Unlock()
		switch {
		case down:
			t.host(id, "ERROR", "the host does not respond")
			continue
		case incompatible != "":
			t.host(id, "ERROR", incompatible)
			continue
		case !mm || on > 0:
			t.host(id, "SKIPPED", "the host is not in maintenance mode, or machines run on it")
			continue
		}
		p.note("remediate", h, ref{}, version)
		t.last(rule, 500)
		if bad.Fails != "" {
			t.host(id, "ERROR", bad.Fails)
			continue
		}
		if bad.Lies {
			t.host(id, "OK", "")
			continue
		}
		release, build := product(version)
		if !restarts {
			check(p.setHost(p.own("vcpeer"), h, dict{"version": release}))
			check(p.setHost(p.own("vcpeer"), h, dict{"build": build}))
			t.host(id, "OK", "")
			continue
		}
		p.mu.Lock()
		st.onBoot = dict{"version": release, "build": build}
		p.mu.Unlock()
		j := &job{p: p, ctx: p.own("vcpeer")}
		if f := p.reboot(j, h, false, bad.StayDown || rule.StayDown); f != nil {
			t.host(id, "ERROR", fmt.Sprintf("%T", f))
			continue
		}
		if p.awaitBoot(h, build) {
			t.host(id, "OK", "")
		} else {
			t.host(id, "TIMED_OUT", "the host did not come back")
		}
		t.progress(100 * (n + 1) / len(hosts))
	}
	p.images.Lock()
	i.scan()
	p.images.Unlock()
	t.settle()
}

// awaitBoot waits until the host responds again and runs this build.
func (p *peer) awaitBoot(h ref, build string) bool {
	p.mu.Lock()
	most := time.Duration(p.cfg.BootWaitMs) * time.Millisecond
	p.mu.Unlock()
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		host, is := p.host(h), ""
		p.own("vcpeer").WithLock(host, func() {
			if host.Runtime.ConnectionState == types.HostSystemConnectionStateConnected {
				is = host.Config.Product.Build
			}
		})
		if is == build {
			return true
		}
	}
	return false
}
