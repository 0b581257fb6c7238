// How things stand, read from the simulator's objects and not through its API.

package main

import (
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

type (
	hostTruth struct {
		Responds    bool   `json:"responds"`
		Maintenance bool   `json:"maintenance"`
		Build       string `json:"build"`
		Version     string `json:"version"`
		Boots       int    `json:"boots"` // restarts since the peer began
	}
	vmTruth struct {
		Host      string                         `json:"host"`
		Power     types.VirtualMachinePowerState `json:"power"`
		MemoryMiB int32                          `json:"memory_mib"`
		DemandMhz int32                          `json:"demand_mhz"`
		CPUs      int32                          `json:"cpus"`
	}
	clusterTruth struct {
		Drs       types.DrsBehavior `json:"drs"`
		Overrides bool              `json:"overrides"`
		DrsOn     bool              `json:"drs_on"`
		HaOn      bool              `json:"ha_on"`
		Admission bool              `json:"admission"`
	}
)

// running names every task of ours that is under way, with what it works on.
func (p *peer) running() []string {
	all := []string{}
	p.mu.Lock()
	for _, t := range p.open {
		all = append(all, t)
	}
	p.mu.Unlock()
	p.images.Lock()
	defer p.images.Unlock()
	for _, t := range p.images.tasks {
		if t.status == "RUNNING" {
			names := []string{}
			for _, h := range t.hosts {
				names = append(names, p.name(ref{Type: "HostSystem", Value: h}))
			}
			all = append(all, "vLCM "+t.action+" "+strings.Join(names, ","))
		}
	}
	return all
}

func (p *peer) truth() dict {
	hosts, vms, clusters := map[string]hostTruth{}, map[string]vmTruth{}, map[string]clusterTruth{}
	ctx := p.own("vcpeer")
	is := map[string]types.AboutInfo{}
	for _, e := range p.reg.All("HostSystem") {
		h := e.(*simulator.HostSystem)
		ctx.WithLock(h, func() { is[h.Name] = h.Config.Product })
	}
	p.mu.Lock()
	boots := map[string]int{}
	for _, e := range p.journal {
		if e.Kind == "reboot" {
			boots[e.Host]++
		}
	}
	for _, h := range p.hosts {
		hosts[h.name] = hostTruth{Responds: !h.down, Maintenance: h.mm || h.entering, Build: is[h.name].Build, Version: is[h.name].Version, Boots: boots[h.name]}
	}
	p.mu.Unlock()
	for _, e := range p.reg.All("VirtualMachine") {
		vm := e.(*simulator.VirtualMachine)
		ctx.WithLock(vm, func() {
			vms[vm.Name] = vmTruth{Host: p.name(*vm.Runtime.Host), Power: vm.Runtime.PowerState, MemoryMiB: vm.Summary.Config.MemorySizeMB,
				DemandMhz: vm.Summary.QuickStats.OverallCpuDemand, CPUs: vm.Summary.Config.NumCpu}
		})
	}
	for _, e := range p.reg.All("ClusterComputeResource") {
		cl := e.(*simulator.ClusterComputeResource)
		ctx.WithLock(cl, func() {
			cfg := cl.ConfigurationEx.(*types.ClusterConfigInfoEx)
			clusters[cl.Name] = clusterTruth{Drs: cfg.DrsConfig.DefaultVmBehavior, Overrides: isTrue(cfg.DrsConfig.EnableVmBehaviorOverrides),
				DrsOn: isTrue(cfg.DrsConfig.Enabled), HaOn: isTrue(cfg.DasConfig.Enabled), Admission: isTrue(cfg.DasConfig.AdmissionControlEnabled)}
		})
	}
	return dict{"hosts": hosts, "vms": vms, "clusters": clusters}
}
