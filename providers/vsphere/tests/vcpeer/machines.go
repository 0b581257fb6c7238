// Migration and power of virtual machines.

package main

import (
	"fmt"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func (p *peer) migrate(j *job, id ref, spec types.VirtualMachineRelocateSpec, state types.VirtualMachinePowerState, r rule) fault {
	vm, ok := p.reg.Get(id).(*simulator.VirtualMachine)
	if !ok {
		return &types.ManagedObjectNotFound{Obj: id}
	}
	p.mu.Lock()
	v := p.vms[id]
	if v.busy != nil {
		defer p.mu.Unlock()
		return &types.TaskInProgress{Task: *v.busy}
	}
	v.busy = &j.task.Self
	p.mu.Unlock()
	defer func() { p.mu.Lock(); v.busy = nil; p.mu.Unlock() }()
	var src ref
	var power types.VirtualMachinePowerState
	var stores, nets []ref
	j.ctx.WithLock(vm, func() {
		src, power = *vm.Runtime.Host, vm.Runtime.PowerState
		stores, nets = slices.Clone(vm.Datastore), slices.Clone(vm.Network)
	})
	if state != "" && state != power {
		return &types.InvalidPowerState{RequestedState: state, ExistingState: power}
	}
	dst := src
	if spec.Host != nil {
		dst = *spec.Host
	}
	to := p.host(dst)
	if to == nil {
		return &types.InvalidArgument{InvalidProperty: "host"}
	}
	if *to.Parent != *p.host(src).Parent && spec.Pool == nil {
		return &types.InvalidArgument{InvalidProperty: "pool"}
	}
	if spec.Pool != nil {
		if _, ok := p.reg.Get(*spec.Pool).(*simulator.ResourcePool); !ok { // the simulator would panic on a vApp
			return &types.InvalidArgument{InvalidProperty: "pool"}
		}
	}
	if spec.Datastore != nil {
		stores = []ref{*spec.Datastore}
	}
	for _, d := range stores {
		if !slices.Contains(to.Datastore, d) {
			return &types.CannotAccessVmDisk{CannotAccessVmDevice: types.CannotAccessVmDevice{Device: "Hard disk 1", Backing: p.name(d)}}
		}
	}
	for _, n := range nets {
		if !slices.Contains(to.Network, n) {
			return &types.CannotAccessNetwork{CannotAccessVmDevice: types.CannotAccessVmDevice{Device: "Network adapter 1", Backing: n.Value, Connected: true}}
		}
	}
	p.mu.Lock()
	st := p.hosts[dst]
	down, closed := st.down || p.hosts[src].down, dst != src && (st.mm || st.entering)
	if !down && !closed {
		st.incoming++
		defer func() { p.mu.Lock(); st.incoming--; p.mu.Unlock() }()
	}
	ms := p.cfg.MigrateMs
	p.mu.Unlock()
	if down {
		return &types.HostNotConnected{}
	}
	if closed {
		return &types.InvalidState{}
	}
	if f := j.last(r, ms); f != nil {
		p.note("migrateFailed", dst, id, fmt.Sprintf("%T", f))
		return f
	}
	p.mu.Lock()
	down = st.down || p.hosts[src].down
	p.mu.Unlock()
	if down {
		return &types.HostNotConnected{}
	}
	if spec.Datastore != nil || spec.Folder != nil || len(spec.DeviceChange) > 0 {
		var was []ref
		j.ctx.WithLock(vm, func() { was = slices.Clone(vm.Datastore) })
		rest := spec
		rest.Host, rest.Pool = nil, nil
		if f := j.inner(invoke(j.ctx, &call{name: "RelocateVM_Task", this: id, body: &types.RelocateVM_Task{This: id, Spec: rest}})); f != nil {
			return f
		}
		if spec.Datastore != nil { // the simulator forgets the datastores' side
			for _, d := range was {
				p.editVMs(j.ctx, p.reg.Get(d), nil, &id)
			}
			p.editVMs(j.ctx, p.reg.Get(*spec.Datastore), &id, nil)
		}
	}
	p.place(j.ctx, vm, src, dst, spec.Pool)
	if dst != src {
		p.note("migrated", dst, id, "from "+p.name(src))
	}
	return nil
}

// place moves vm to dst: vm, both hosts and both pools, with an update for each
func (p *peer) place(ctx *simulator.Context, vm *simulator.VirtualMachine, src, dst ref, pool *ref) {
	ctx.WithLock(vm, func() {
		var c set
		if src != dst {
			c = append(c, both("runtime.host", &dst)...)
			p.editVMs(ctx, p.host(src), nil, &vm.Self)
			p.editVMs(ctx, p.host(dst), &vm.Self, nil)
		}
		if pool != nil && vm.ResourcePool != nil && *pool != *vm.ResourcePool {
			c = append(c, types.PropertyChange{Name: "resourcePool", Val: pool})
			p.editVMs(ctx, p.reg.Get(*vm.ResourcePool), nil, &vm.Self)
			p.editVMs(ctx, p.reg.Get(*pool), &vm.Self, nil)
		}
		if len(c) > 0 {
			ctx.Update(vm, c)
		}
	})
}

// editVMs adds to or removes from the "vm" property of a host, pool or datastore
func (p *peer) editVMs(ctx *simulator.Context, obj mo.Reference, add, del *ref) {
	var list *[]ref
	switch o := obj.(type) {
	case *simulator.HostSystem:
		list = &o.Vm
	case *simulator.ResourcePool:
		list = &o.Vm
	case *simulator.VirtualApp:
		list = &o.Vm
	case *simulator.Datastore:
		list = &o.Vm
	default:
		return
	}
	ctx.WithLock(obj, func() {
		next := make([]ref, 0, len(*list)+1)
		for _, r := range *list {
			if (del == nil || r != *del) && (add == nil || r != *add) {
				next = append(next, r)
			}
		}
		if add != nil {
			next = append(next, *add)
		}
		ctx.Update(obj, set{{Name: "vm", Val: next}})
		*list = slices.Clone(next) // the update sent out must not share the simulator's slice
	})
}

func (p *peer) powerOn(ctx *simulator.Context, c *call) soap.HasFault {
	p.mu.Lock()
	v := p.vms[c.this]
	var st *hostState
	if v != nil {
		st = p.hosts[v.host]
	}
	var f fault
	switch {
	case st == nil:
	case st.down:
		f = &types.HostNotConnected{}
	case st.mm || st.entering:
		f = &types.InvalidState{}
	default:
		st.incoming++
	}
	p.mu.Unlock()
	if f != nil {
		return reply(c.body, p.start(ctx, c.this, c.name, "VirtualMachine.powerOn", func(*job) fault { return f }))
	}
	res := invoke(ctx, c)
	if st != nil {
		go func() {
			if t := taskOf(p.reg, res); t != nil {
				t.Wait()
			}
			p.mu.Lock()
			st.incoming--
			p.mu.Unlock()
		}()
	}
	return res
}
