// Maintenance mode, reboot and connection of hosts.

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func both(name string, v any) set {
	return set{{Name: name, Val: v}, {Name: "summary." + name, Val: v}}
}

func (p *peer) update(ctx *simulator.Context, obj mo.Reference, c set) {
	ctx.WithLock(obj, func() { ctx.Update(obj, c) })
}

func (p *peer) host(r ref) *simulator.HostSystem {
	h, _ := p.reg.Get(r).(*simulator.HostSystem)
	return h
}

// on lists the powered-on VMs of a host; the caller holds p.mu
func (p *peer) on(h ref) (out []ref) {
	for r, v := range p.vms {
		if v.on && v.host == h {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b ref) int { return strings.Compare(p.vms[a].name, p.vms[b].name) })
	return
}

func (p *peer) enter(j *job, h ref, req *types.EnterMaintenanceMode_Task) fault {
	p.mu.Lock()
	st := p.hosts[h]
	if st.down || st.mm || st.entering {
		defer p.mu.Unlock()
		if st.down {
			return &types.HostNotConnected{}
		}
		return &types.InvalidState{}
	}
	st.entering = true
	p.mu.Unlock()
	p.note("enteringMM", h, ref{}, "")
	defer func() { p.mu.Lock(); st.entering = false; p.mu.Unlock() }()

	var end <-chan time.Time
	if req.Timeout > 0 {
		end = time.After(time.Duration(req.Timeout) * time.Second)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	tried := map[ref]time.Time{} // a VM that could not go is tried again after a second
	first, done, flying, planned := 0, make(chan ref), 0, map[ref]int{}
	for {
		p.mu.Lock()
		left := p.on(h)
		if req.EvacuatePoweredOffVms != nil && *req.EvacuatePoweredOffVms {
			for r, v := range p.vms {
				if !v.on && v.host == h {
					left = append(left, r)
				}
			}
		}
		if len(left) == 0 && st.incoming == 0 {
			st.mm = true // from here on nothing can be powered on here; see incoming
			p.mu.Unlock()
			break
		}
		limit := p.cfg.AtOnce
		p.mu.Unlock()
		first = max(first, len(left))
		j.progress(2 + int32(90*(first-len(left))/max(first, 1)))
		for _, vm := range left {
			if flying < limit && time.Since(tried[vm]) > time.Second && p.automated(j.ctx, h, vm) {
				if dst := p.choose(h, planned); dst != nil {
					tried[vm] = time.Now().Add(time.Hour)
					flying++
					planned[*dst]++
					vm := vm
					p.start(j.ctx, vm, "RelocateVM_Task", "Drm.ExecuteVMotionLRO", func(k *job) fault {
						f := p.migrate(k, vm, types.VirtualMachineRelocateSpec{Host: dst}, "", p.match("MigrateVM_Task", vm))
						go func() { done <- vm }()
						return f
					})
				}
			}
		}
		select {
		case <-tick.C:
			if j.cancelled() {
				p.note("cancelledMM", h, ref{}, "")
				return &types.RequestCanceled{}
			}
		case vm := <-done:
			flying--
			tried[vm] = time.Now()
			clear(planned)
		case <-end:
			p.note("timedoutMM", h, ref{}, "")
			return &types.Timedout{}
		}
	}
	p.update(j.ctx, p.host(h), both("runtime.inMaintenanceMode", true))
	p.note("enteredMM", h, ref{}, "")
	return nil
}

// automated tells whether DRS would move vm off h by itself
func (p *peer) automated(ctx *simulator.Context, h, vm ref) (yes bool) {
	cl, ok := p.reg.Get(*p.host(h).Parent).(*simulator.ClusterComputeResource)
	if !ok {
		return false
	}
	ctx.WithLock(cl, func() {
		cfg := cl.ConfigurationEx.(*types.ClusterConfigInfoEx)
		yes = isTrue(cfg.DrsConfig.Enabled) && cfg.DrsConfig.DefaultVmBehavior == types.DrsBehaviorFullyAutomated
		for _, o := range cfg.DrsVmConfig {
			if o.Key == vm && yes {
				yes = !(o.Enabled != nil && !*o.Enabled) && (o.Behavior == "" || o.Behavior == types.DrsBehaviorFullyAutomated)
			}
		}
	})
	return
}

func isTrue(b *bool) bool { return b != nil && *b }

// choose returns the host of the same cluster with the fewest VMs, those already planned for it included
func (p *peer) choose(from ref, planned map[ref]int) *ref {
	cl, ok := p.reg.Get(*p.host(from).Parent).(*simulator.ClusterComputeResource)
	if !ok {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := map[ref]int{}
	for r, k := range planned {
		n[r] = k
	}
	for _, v := range p.vms {
		n[v.host]++
	}
	var best *ref
	for _, h := range cl.Host {
		st := p.hosts[h]
		if h == from || st.mm || st.entering || st.down {
			continue
		}
		if best == nil || n[h] < n[*best] {
			best = &h
		}
	}
	return best
}

func (p *peer) exit(j *job, h ref) fault {
	p.mu.Lock()
	st := p.hosts[h]
	down, mm := st.down, st.mm
	if !down {
		st.mm = false
	}
	p.mu.Unlock()
	if down {
		return &types.HostNotConnected{}
	}
	if !mm {
		return &types.InvalidState{}
	}
	p.update(j.ctx, p.host(h), both("runtime.inMaintenanceMode", false))
	p.note("exitedMM", h, ref{}, "")
	return nil
}

func (p *peer) reboot(j *job, h ref, force, stay bool) fault {
	p.mu.Lock()
	st, lag, down := p.hosts[h], p.cfg.RebootLagMs, p.cfg.RebootDownMs
	if st.down {
		p.mu.Unlock()
		return &types.HostNotConnected{}
	}
	if !st.mm && !force {
		p.mu.Unlock()
		return &types.InvalidState{}
	}
	on := p.on(h)
	p.mu.Unlock()
	for _, vm := range on {
		p.violate("reboot-with-vms", h, vm, fmt.Sprintf("force=%v", force))
	}
	p.note("reboot", h, ref{}, "")
	go func() {
		ctx := p.own("vcpeer")
		time.Sleep(time.Duration(lag) * time.Millisecond)
		p.connect(ctx, h, types.HostSystemConnectionStateNotResponding)
		for _, vm := range on {
			p.update(ctx, p.reg.Get(vm), both("runtime.powerState", types.VirtualMachinePowerStatePoweredOff))
		}
		if stay {
			return
		}
		time.Sleep(time.Duration(down) * time.Millisecond)
		now := time.Now()
		p.update(ctx, p.host(h), append(both("runtime.bootTime", &now), types.PropertyChange{Name: "summary.rebootRequired", Val: false}))
		p.mu.Lock()
		boot := st.onBoot
		st.onBoot = nil
		p.mu.Unlock()
		if boot != nil {
			_ = p.setHost(ctx, h, boot)
		}
		p.connect(ctx, h, types.HostSystemConnectionStateConnected)
	}()
	return nil
}

// connect sets a host's connection state and that of its VMs
func (p *peer) connect(ctx *simulator.Context, h ref, s types.HostSystemConnectionState) fault {
	up := s == types.HostSystemConnectionStateConnected
	p.mu.Lock()
	p.hosts[h].down = !up
	var vms []ref
	for r, v := range p.vms {
		if v.host == h {
			vms = append(vms, r)
		}
	}
	p.mu.Unlock()
	power, vs := types.HostSystemPowerStateUnknown, types.VirtualMachineConnectionStateDisconnected
	if up {
		power, vs = types.HostSystemPowerStatePoweredOn, types.VirtualMachineConnectionStateConnected
	}
	p.update(ctx, p.host(h), append(both("runtime.connectionState", s), both("runtime.powerState", power)...))
	for _, vm := range vms {
		p.update(ctx, p.reg.Get(vm), both("runtime.connectionState", vs))
	}
	p.note("host:"+string(s), h, ref{}, "")
	return nil
}

// setHost writes what a test asks for: any scalar property, and "build"/"version" in both places
func (p *peer) setHost(ctx *simulator.Context, h ref, d dict) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	obj := p.host(h)
	for k, v := range d {
		switch k {
		case "connectionState":
			p.connect(ctx, h, types.HostSystemConnectionState(v.(string)))
		case "inMaintenanceMode": // by force, whatever runs there
			p.mu.Lock()
			p.hosts[h].mm = v.(bool)
			p.mu.Unlock()
			p.update(ctx, obj, both("runtime.inMaintenanceMode", v))
		case "build", "version":
			ctx.WithLock(obj, func() {
				a := obj.Config.Product // a copy; summary.config.product is one pointer shared by all hosts
				if k == "build" {
					a.Build = v.(string)
				} else {
					a.Version = v.(string)
				}
				obj.Summary.Config.Product = nil
				ctx.Update(obj, set{{Name: "config.product", Val: a}, {Name: "summary.config.product", Val: a}})
			})
		default:
			p.update(ctx, obj, set{{Name: k, Val: v}})
		}
	}
	return nil
}
