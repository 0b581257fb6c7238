// The image that a cluster is to run, and how each host compares to it.

package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// image is what one cluster is to run; images guards all of them.
type image struct {
	Version      string // of the base image, such as 8.0.3-0.35.24280767
	Commit       int
	Compared     string // the version that the hosts were last compared to
	Scanned      int    // and its commit
	ScannedAt    time.Time
	Managed      bool
	Restarts     bool                // whether putting it in takes a restart
	Incompatible map[string]string   // host name -> why
	Staged       map[string]int      // host name -> commit
	Policy       dict                // of policies/apply/effective
	Sabotage     map[string]sabotage // host name -> what goes wrong when it is applied
	During       string              // committed when the next apply begins
	Unfit        map[string][]unfit  // host or cluster name -> what a check finds
	Unchecked    string              // a host of which a check says nothing
	Checked      any                 // the last result of a check; none: nobody asked for one
}

// scan compares the hosts to the image as it is now.
func (i *image) scan() {
	i.Compared, i.Scanned, i.ScannedAt = i.Version, i.Commit, time.Now()
}

type sabotage struct {
	Fails    string `json:"fails"`     // the vendor's own check fails, with these words
	Lies     bool   `json:"lies"`      // it says that it worked, and nothing was put in
	StayDown bool   `json:"stay_down"` // the host never comes back
}

type images struct {
	sync.Mutex
	of    map[ref]*image
	tasks map[string]*apiTask
	order []string
}

// imageReq is what a test sets of the image of a cluster.
type imageReq struct {
	Cluster      string              `json:"cluster"`
	Version      string              `json:"version"` // commits it
	Managed      *bool               `json:"managed"`
	Restarts     *bool               `json:"restarts"`
	Incompatible map[string]string   `json:"incompatible"`
	Policy       dict                `json:"policy"`
	Sabotage     map[string]sabotage `json:"sabotage"`
	During       string              `json:"during"`   // commits this version when the next apply begins
	Compared     bool                `json:"compared"` // and compares the hosts to it
	Unfit        map[string][]unfit  `json:"unfit"`
	Unchecked    string              `json:"unchecked"`
	Busy         *string             `json:"busy"` // this user has vLCM work on it until it is nobody
}

const firstImage = "8.0.2-0.0.22380479"

func (p *peer) imageOf(id string) *image {
	return p.images.of[ref{Type: "ClusterComputeResource", Value: id}]
}

// furnishImages makes every host run the first image, and every cluster want it.
func (p *peer) furnishImages() {
	p.images.of, p.images.tasks = map[ref]*image{}, map[string]*apiTask{}
	for _, e := range p.reg.All("ClusterComputeResource") {
		p.images.of[e.Reference()] = &image{Version: firstImage, Commit: 1, Compared: firstImage, Scanned: 1, ScannedAt: time.Now(), Managed: true, Restarts: true, Policy: firstPolicy(),
			Incompatible: map[string]string{}, Staged: map[string]int{}, Sabotage: map[string]sabotage{}, Unfit: map[string][]unfit{}}
	}
	version, build := product(firstImage)
	for _, e := range p.reg.All("HostSystem") {
		check(p.setHost(p.own("vcpeer"), e.Reference(), dict{"version": version}))
		check(p.setHost(p.own("vcpeer"), e.Reference(), dict{"build": build}))
	}
}

func firstPolicy() dict {
	return dict{"failure_action": dict{"action": "FAIL"}, "pre_remediation_power_action": "DO_NOT_CHANGE_VMS_POWER_STATE", "enable_quick_boot": false,
		"disable_dpm": true, "disable_hac": false, "evacuate_offline_vms": false, "enforce_hcl_validation": false, "parallel_remediation_action": dict{"enabled": false}}
}

func (p *peer) setImage(q *imageReq) error {
	p.images.Lock()
	defer p.images.Unlock()
	for r, i := range p.images.of {
		if p.name(r) != q.Cluster {
			continue
		}
		if q.Version != "" {
			i.Version, i.Commit = q.Version, i.Commit+1
		}
		if q.Managed != nil {
			i.Managed = *q.Managed
		}
		if q.Restarts != nil {
			i.Restarts = *q.Restarts
		}
		i.During = q.During
		maps.Copy(i.Incompatible, q.Incompatible)
		maps.Copy(i.Policy, q.Policy)
		maps.Copy(i.Sabotage, q.Sabotage)
		maps.Copy(i.Unfit, q.Unfit)
		i.Unchecked = q.Unchecked
		if q.Compared {
			i.scan()
		}
		if q.Busy != nil {
			p.images.busy(p, r, *q.Busy)
		}
		return nil
	}
	return fmt.Errorf("no cluster %q", q.Cluster)
}

// product reads a version of a base image as an ESXi host says it: its release and its build.
func product(version string) (release, build string) {
	for i, c := range version {
		if c == '-' {
			release = version[:i]
			break
		}
	}
	for i := len(version) - 1; i >= 0; i-- {
		if version[i] == '.' || version[i] == '-' {
			return release, version[i+1:]
		}
	}
	return release, ""
}

// compliance is the answer of software/compliance; the caller holds the images.
func (p *peer) compliance(cluster ref, i *image) dict {
	lists := map[string][]string{"COMPLIANT": {}, "NON_COMPLIANT": {}, "INCOMPATIBLE": {}, "UNAVAILABLE": {}}
	hosts, info := dict{}, dict{}
	worst := "COMPLIANT"
	for _, h := range p.hostsOf(cluster) {
		c := p.compare(h, i, i.Compared)
		status := c["status"].(string)
		lists[status] = append(lists[status], h.Self.Value)
		hosts[h.Self.Value], info[h.Self.Value] = c, dict{"name": h.Name}
		if rank := []string{"COMPLIANT", "NON_COMPLIANT", "UNAVAILABLE", "INCOMPATIBLE"}; slices.Index(rank, status) > slices.Index(rank, worst) {
			worst = status
		}
	}
	return dict{"impact": i.impact(worst), "status": worst, "notifications": dict{}, "scan_time": stamp(i.ScannedAt), "commit": fmt.Sprint(i.Scanned),
		"compliant_hosts": lists["COMPLIANT"], "non_compliant_hosts": lists["NON_COMPLIANT"], "incompatible_hosts": lists["INCOMPATIBLE"],
		"unavailable_hosts": lists["UNAVAILABLE"], "hosts": hosts, "host_info": info}
}

func (i *image) impact(status string) string {
	if status == "COMPLIANT" {
		return "NO_IMPACT"
	}
	if i.Restarts {
		return "REBOOT_REQUIRED"
	}
	return "MAINTENANCE_MODE_REQUIRED"
}

func (p *peer) compare(h *simulator.HostSystem, i *image, version string) dict {
	release, build := product(version)
	var is types.AboutInfo
	p.own("vcpeer").WithLock(h, func() { is = h.Config.Product })
	status, notes := "COMPLIANT", dict{}
	if is.Version != release || is.Build != build {
		status = "NON_COMPLIANT"
	}
	if why := i.Incompatible[h.Name]; why != "" {
		status, notes = "INCOMPATIBLE", dict{"errors": []dict{note("com.vmware.vcIntegrity.lifecycle.HostScan.Incompatible", why)}}
	}
	if p.isDown(h.Self) {
		status = "UNAVAILABLE"
	}
	staged := "NOT_STAGED"
	if i.Staged[h.Name] == i.Commit {
		staged = "STAGED"
	}
	image := func(version, display string) dict {
		return dict{"version": version, "details": dict{"display_name": "ESXi", "display_version": display, "release_date": "2026-11-01T00:00:00.000Z"}}
	}
	return dict{"impact": i.impact(status), "status": status, "stage_status": staged, "notifications": notes, "scan_time": stamp(i.ScannedAt), "commit": fmt.Sprint(i.Scanned),
		"base_image": dict{"status": status, "current": image(is.Version+"-0.0."+is.Build, is.Version), "target": image(version, release), "notifications": dict{}},
		"add_on":     dict{"status": "COMPLIANT", "notifications": dict{}}, "components": dict{}, "solutions": dict{}}
}

func (p *peer) isDown(h ref) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hosts[h].down
}

func (p *peer) hostsOf(cluster ref) (all []*simulator.HostSystem) {
	for _, e := range p.reg.All("HostSystem") {
		if h := e.(*simulator.HostSystem); h.Parent != nil && *h.Parent == cluster {
			all = append(all, h)
		}
	}
	return all
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func words(text string) dict {
	return dict{"id": "vcpeer", "default_message": text, "args": []string{}}
}

func note(id, text string) dict {
	return dict{"id": id, "time": stamp(time.Now()), "message": words(text), "type": "ERROR"}
}
