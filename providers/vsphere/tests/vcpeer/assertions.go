// What must never happen, judged at every property update.

package main

import (
	"slices"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func (p *peer) PutObject(_ *simulator.Context, o mo.Reference) {
	p.changed(o.Reference().Type)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch o := o.(type) {
	case *simulator.HostSystem:
		if p.hosts[o.Self] == nil {
			p.hosts[o.Self] = &hostState{name: o.Name, mm: o.Runtime.InMaintenanceMode}
		}
	case *simulator.VirtualMachine:
		v := &vmState{name: o.Name, on: o.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn}
		if o.Runtime.Host != nil {
			v.host = *o.Runtime.Host
		}
		p.vms[o.Self] = v
	}
}

func (p *peer) RemoveObject(_ *simulator.Context, r ref) {
	p.changed(r.Type)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.vms, r)
	delete(p.hosts, r)
}

// UpdateObject sees each property update in the simulator, whoever makes it
func (p *peer) UpdateObject(_ *simulator.Context, o mo.Reference, changes []types.PropertyChange) {
	p.changed(o.Reference().Type)
	for _, c := range changes {
		switch c.Name {
		case "runtime.powerState", "runtime.host":
			vm, ok := o.(*mo.VirtualMachine)
			if !ok {
				continue
			}
			p.mu.Lock()
			v := p.vms[vm.Self]
			if v == nil {
				v = &vmState{name: vm.Name}
				p.vms[vm.Self] = v
			}
			switch x := c.Val.(type) {
			case types.VirtualMachinePowerState:
				v.on = x == types.VirtualMachinePowerStatePoweredOn
				if v.host.Value == "" && vm.Runtime.Host != nil { // created after the start
					v.host = *vm.Runtime.Host
				}
			case *ref:
				v.host = *x
			case ref:
				v.host = x
			}
			st := p.hosts[v.host]
			bad := st != nil && st.mm && v.on
			h, beside := v.host, p.beside(vm.Self)
			p.mu.Unlock()
			for _, other := range beside {
				p.violate("rule-broken", h, vm.Self, "with "+other)
			}
			if bad {
				p.violate("vm-on-maintenance-host", h, vm.Self, c.Name+" changed")
			}
		case "runtime.inMaintenanceMode":
			if h, ok := o.(*mo.HostSystem); ok && c.Val == true {
				p.mu.Lock()
				on := p.on(h.Self)
				p.mu.Unlock()
				for _, vm := range on {
					p.violate("vm-on-maintenance-host", h.Self, vm, "host entered maintenance mode")
				}
			}
		}
	}
}

// beside names running machines on the host of a running machine from which a rule keeps it apart; the caller holds p.mu
func (p *peer) beside(vm ref) (found []string) {
	v := p.vms[vm]
	for _, rule := range p.apart {
		if !v.on || !slices.Contains(rule, v.name) {
			continue
		}
		for other, o := range p.vms {
			if other != vm && o.on && o.host == v.host && slices.Contains(rule, o.name) {
				found = append(found, o.name)
			}
		}
	}
	return found
}

func (p *peer) violate(kind string, h, vm ref, note string) {
	e := entry{time.Now(), kind, p.name(h), p.name(vm), note}
	p.mu.Lock()
	p.violations = append(p.violations, e)
	p.journal = append(p.journal, e)
	p.mu.Unlock()
}

func (p *peer) note(kind string, h, vm ref, note string) {
	e := entry{time.Now(), kind, p.name(h), "", note}
	if vm.Value != "" {
		e.VM = p.name(vm)
	}
	p.mu.Lock()
	p.journal = append(p.journal, e)
	p.mu.Unlock()
}
