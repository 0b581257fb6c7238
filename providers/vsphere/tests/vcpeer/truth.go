// How things stand, read from the simulator's objects and not through its API.

package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

type (
	hostTruth struct {
		Responds    bool `json:"responds"`
		Maintenance bool `json:"maintenance"`
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

func (p *peer) truth() dict {
	hosts, vms, clusters := map[string]hostTruth{}, map[string]vmTruth{}, map[string]clusterTruth{}
	p.mu.Lock()
	for _, h := range p.hosts {
		hosts[h.name] = hostTruth{Responds: !h.down, Maintenance: h.mm || h.entering}
	}
	p.mu.Unlock()
	ctx := p.own("vcpeer")
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
