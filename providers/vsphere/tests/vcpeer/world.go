// States of hosts, machines and clusters that a test sets, by the simulator's own objects.

package main

import (
	"fmt"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// hardware of every host: the simulator's own has 4 GB.
const (
	hostCores  = 32
	hostMhz    = 2400
	hostMemory = int64(384) << 30
)

func (p *peer) furnish() {
	for _, e := range p.reg.All("HostSystem") {
		h := e.(*simulator.HostSystem)
		hw := *h.Summary.Hardware
		hw.CpuMhz, hw.NumCpuCores, hw.NumCpuThreads, hw.MemorySize = hostMhz, hostCores, 2*hostCores, hostMemory
		h.Summary.Hardware = &hw
		h.Summary.Config.VmotionEnabled = true
	}
	for _, e := range p.reg.All("ClusterComputeResource") { // as a vCenter has them; the simulator leaves them empty
		cfg := e.(*simulator.ClusterComputeResource).ConfigurationEx.(*types.ClusterConfigInfoEx)
		cfg.DrsConfig.Enabled, cfg.DrsConfig.EnableVmBehaviorOverrides = types.NewBool(true), types.NewBool(true)
		cfg.DrsConfig.DefaultVmBehavior, cfg.DrsConfig.VmotionRate = types.DrsBehaviorFullyAutomated, 3
	}
	for _, e := range p.reg.All("Datastore") { // the simulator leaves unsaid whether it is shared
		e.(*simulator.Datastore).Summary.MultipleHostAccess = types.NewBool(true)
	}
}

func (p *peer) hostNamed(name string) (*simulator.HostSystem, error) {
	for _, e := range p.reg.All("HostSystem") {
		if h := e.(*simulator.HostSystem); h.Name == name {
			return h, nil
		}
	}
	return nil, fmt.Errorf("no host %q", name)
}

// machine finds a virtual machine by its name.
func (p *peer) machine(name string) (*simulator.VirtualMachine, error) {
	for _, e := range p.reg.All("VirtualMachine") {
		if vm := e.(*simulator.VirtualMachine); vm.Name == name {
			return vm, nil
		}
	}
	return nil, fmt.Errorf("no machine %q", name)
}

type machineReq struct {
	Name       string `json:"name"`
	Rename     string `json:"rename"`
	Connection string `json:"connection"`
	Question   bool   `json:"question"`
	FT         bool   `json:"fault_tolerant"`
	Affinity   bool   `json:"cpu_affinity"`
	Disabled   string `json:"disabled"`
	Pci        string `json:"pci"`
	Cdrom      string `json:"cdrom"`  // connected to a drive of its host
	Idle       string `json:"iso"`    // connected to a file on its own datastore
	Power      string `json:"power"`  // powerState
	Agent      string `json:"agent"`  // extension that manages it
	Demand     *int32 `json:"demand"` // MHz
	Host       string `json:"host"`   // moved there at once, by somebody else
	By         string `json:"by"`     // by this user, by a task of theirs
}

func (p *peer) setMachine(q *machineReq) error {
	vm, err := p.machine(q.Name)
	if err != nil {
		return err
	}
	ctx := p.own("vcpeer")
	if q.Host != "" {
		to, err := p.hostNamed(q.Host)
		if err != nil {
			return err
		}
		if q.By == "" {
			p.place(ctx, vm, *vm.Runtime.Host, to.Self, nil)
		} else {
			p.start(p.own(q.By), vm.Self, "RelocateVM_Task", "VirtualMachine.relocate", func(j *job) fault {
				return p.migrate(j, vm.Self, types.VirtualMachineRelocateSpec{Host: &to.Self}, "", rule{})
			})
		}
	}
	ctx.WithLock(vm, func() {
		var c set
		put := func(name string, v any) { c = append(c, types.PropertyChange{Name: name, Val: v}) }
		if q.Rename != "" {
			put("name", q.Rename)
		}
		if q.Connection != "" {
			put("runtime.connectionState", types.VirtualMachineConnectionState(q.Connection))
		}
		if q.Question {
			put("runtime.question", &types.VirtualMachineQuestionInfo{Id: "1", Text: "Was it moved or copied?"})
		}
		if q.FT {
			put("runtime.faultToleranceState", types.VirtualMachineFaultToleranceStateRunning)
		}
		if q.Affinity {
			vm.Config.CpuAffinity = &types.VirtualMachineAffinityInfo{AffinitySet: []int32{0, 1}}
		}
		if q.Disabled != "" {
			put("disabledMethod", []string{q.Disabled})
		}
		if q.Power != "" {
			put("runtime.powerState", types.VirtualMachinePowerState(q.Power))
		}
		if q.Agent != "" {
			vm.Config.ManagedBy = &types.ManagedByInfo{ExtensionKey: q.Agent, Type: "agent"}
		}
		if q.Demand != nil {
			vm.Summary.QuickStats.OverallCpuDemand = *q.Demand
		}
		add := func(d types.BaseVirtualDevice, label string) {
			v := d.GetVirtualDevice()
			v.Key = 13000 + int32(len(vm.Config.Hardware.Device))
			v.DeviceInfo = &types.Description{Label: label, Summary: label}
			vm.Config.Hardware.Device = append(vm.Config.Hardware.Device, d)
		}
		on := &types.VirtualDeviceConnectInfo{Connected: true, StartConnected: true}
		if q.Pci != "" {
			add(&types.VirtualPCIPassthrough{}, q.Pci)
		}
		if q.Cdrom != "" {
			add(&types.VirtualCdrom{VirtualDevice: types.VirtualDevice{Connectable: on,
				Backing: &types.VirtualCdromAtapiBackingInfo{VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: "/dev/sr0"}}}}, q.Cdrom)
		}
		if q.Idle != "" {
			store := vm.Datastore[0]
			add(&types.VirtualCdrom{VirtualDevice: types.VirtualDevice{Connectable: on,
				Backing: &types.VirtualCdromIsoBackingInfo{VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{FileName: "[x] a.iso", Datastore: &store}}}}, q.Idle)
		}
		if len(c) > 0 {
			ctx.Update(vm, c)
		}
	})
	return nil
}

type storeReq struct {
	Name   string   `json:"name"`
	Shared bool     `json:"shared"`
	Hosts  []string `json:"hosts"` // the only ones that have it; empty: as it is
}

func (p *peer) setStore(q *storeReq) error {
	for _, e := range p.reg.All("Datastore") {
		store := e.(*simulator.Datastore)
		if store.Name != q.Name {
			continue
		}
		p.own("vcpeer").WithLock(store, func() { store.Summary.MultipleHostAccess = &q.Shared })
		for _, e := range p.reg.All("HostSystem") {
			h := e.(*simulator.HostSystem)
			keep := len(q.Hosts) == 0
			for _, name := range q.Hosts {
				keep = keep || h.Name == name
			}
			if !keep {
				var left []ref
				for _, d := range h.Datastore {
					if d != store.Self {
						left = append(left, d)
					}
				}
				p.update(p.own("vcpeer"), h, set{{Name: "datastore", Val: left}})
			}
		}
		return nil
	}
	return fmt.Errorf("no datastore %q", q.Name)
}

type clusterReq struct {
	Name     string              `json:"name"`
	Apart    map[string][]string `json:"apart"`    // rule: machines
	Together map[string][]string `json:"together"` // rule: machines
	Bound    []struct {
		Rule      string   `json:"rule"`
		VMs       []string `json:"vms"`
		Hosts     []string `json:"hosts"`
		Never     bool     `json:"never"`
		Mandatory bool     `json:"mandatory"`
	} `json:"bound"`
	HA      string `json:"ha"` // off, failures, percent, hosts
	Level   int32  `json:"level"`
	Percent int32  `json:"percent"`
	Drs     string `json:"drs"` // defaultVmBehavior, with overrides
}

func (p *peer) setCluster(q *clusterReq) error {
	for _, e := range p.reg.All("ClusterComputeResource") {
		cl := e.(*simulator.ClusterComputeResource)
		if cl.Name != q.Name {
			continue
		}
		cfg := *cl.ConfigurationEx.(*types.ClusterConfigInfoEx)
		machines := func(names []string) (all []ref, err error) {
			for _, name := range names {
				vm, err := p.machine(name)
				if err != nil {
					return nil, err
				}
				all = append(all, vm.Self)
			}
			return all, nil
		}
		info := func(name string, mandatory bool) types.ClusterRuleInfo {
			return types.ClusterRuleInfo{Name: name, Enabled: types.NewBool(true), Mandatory: &mandatory}
		}
		for name, names := range q.Apart {
			vms, err := machines(names)
			if err != nil {
				return err
			}
			p.mu.Lock()
			p.apart = append(p.apart, names)
			p.mu.Unlock()
			cfg.Rule = append(cfg.Rule, &types.ClusterAntiAffinityRuleSpec{ClusterRuleInfo: info(name, true), Vm: vms})
		}
		for name, names := range q.Together {
			vms, err := machines(names)
			if err != nil {
				return err
			}
			cfg.Rule = append(cfg.Rule, &types.ClusterAffinityRuleSpec{ClusterRuleInfo: info(name, true), Vm: vms})
		}
		for _, b := range q.Bound {
			vms, err := machines(b.VMs)
			if err != nil {
				return err
			}
			var hosts []ref
			for _, e := range p.reg.All("HostSystem") {
				h := e.(*simulator.HostSystem)
				for _, name := range b.Hosts {
					if h.Name == name {
						hosts = append(hosts, h.Self)
					}
				}
			}
			cfg.Group = append(cfg.Group,
				&types.ClusterVmGroup{ClusterGroupInfo: types.ClusterGroupInfo{Name: b.Rule + "-vms"}, Vm: vms},
				&types.ClusterHostGroup{ClusterGroupInfo: types.ClusterGroupInfo{Name: b.Rule + "-hosts"}, Host: hosts})
			rule := &types.ClusterVmHostRuleInfo{ClusterRuleInfo: info(b.Rule, b.Mandatory), VmGroupName: b.Rule + "-vms"}
			if b.Never {
				rule.AntiAffineHostGroupName = b.Rule + "-hosts"
			} else {
				rule.AffineHostGroupName = b.Rule + "-hosts"
			}
			cfg.Rule = append(cfg.Rule, rule)
		}
		das := cfg.DasConfig
		das.Enabled, das.AdmissionControlEnabled = types.NewBool(q.HA != "off"), types.NewBool(true)
		switch q.HA {
		case "":
			das = cfg.DasConfig
		case "failures":
			das.AdmissionControlPolicy = &types.ClusterFailoverLevelAdmissionControlPolicy{FailoverLevel: q.Level}
		case "percent":
			das.AdmissionControlPolicy = &types.ClusterFailoverResourcesAdmissionControlPolicy{
				CpuFailoverResourcesPercent: q.Percent / 2, MemoryFailoverResourcesPercent: q.Percent, AutoComputePercentages: types.NewBool(false)}
		case "hosts":
			das.AdmissionControlPolicy = &types.ClusterFailoverHostAdmissionControlPolicy{FailoverHosts: cl.Host[:q.Level]}
		}
		cfg.DasConfig = das
		if q.Drs != "" {
			cfg.DrsConfig.DefaultVmBehavior, cfg.DrsConfig.EnableVmBehaviorOverrides = types.DrsBehavior(q.Drs), types.NewBool(true)
		}
		p.update(p.own("vcpeer"), cl, set{{Name: "configurationEx", Val: &cfg}})
		return nil
	}
	return fmt.Errorf("no cluster %q", q.Name)
}

// endSessions logs everybody out, as an administrator or an idle time does.
func (p *peer) endSessions() error {
	manager := p.reg.SessionManager()
	ctx := p.own("vcpeer")
	// The manager itself keeps no list: it is made for who asks.
	for _, s := range ctx.Session.Get(manager.Self).(*simulator.SessionManager).SessionList {
		manager.TerminateSession(ctx, &types.TerminateSession{This: manager.Self, SessionId: []string{s.Key}})
	}
	p.waiters.Range(func(_, w any) bool { w.(*waiter).ended.Store(true); return true })
	p.mu.Lock()
	clear(p.sessions)
	p.mu.Unlock()
	return nil
}
