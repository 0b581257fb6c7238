// Which calls are answered by the peer, and which go on to the simulator.

package main

import (
	"net/http"
	"path"
	"reflect"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// call is what Dispatch gets in place of the SOAP body
type call struct {
	name string
	this ref
	body any
	rule rule
}

var overridden = map[string]string{
	"EnterMaintenanceMode_Task": "HostSystem", "ExitMaintenanceMode_Task": "HostSystem", "RebootHost_Task": "HostSystem",
	"DisconnectHost_Task": "HostSystem", "ReconnectHost_Task": "HostSystem",
	"MigrateVM_Task": "VirtualMachine", "RelocateVM_Task": "VirtualMachine", "PowerOnVM_Task": "VirtualMachine",
	"ReconfigureComputeResource_Task": "ClusterComputeResource", "FetchUserPrivilegeOnEntities": "AuthorizationManager",
}

// hook is the Registry.Handler: it runs before the simulator looks up the object and takes its lock.
func (p *peer) hook(ctx *simulator.Context, m *simulator.Method) (mo.Reference, fault) {
	p.calls.add(m.Name)
	r := p.match(m.Name, m.This)
	if r.DelayMs > 0 {
		time.Sleep(time.Duration(r.DelayMs) * time.Millisecond)
	}
	if r.Abort {
		panic(http.ErrAbortHandler)
	}
	if r.Fault != "" && r.Stage != "task" {
		return nil, newFault(r.Fault)
	}
	if ctx.Session == nil {
		return nil, nil
	}
	if overridden[m.Name] == m.This.Type || r.LoseReply || r.TaskMs > 0 || r.Fault != "" {
		m.Body = &call{m.Name, m.This, m.Body, r}
		m.This, m.Name = p.Self, "Dispatch"
	}
	return nil, nil
}

func (p *peer) match(method string, obj ref) rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.rules {
		if ok, _ := path.Match(r.Method, method); r.Method != "" && !ok {
			continue
		}
		if r.Object != "" {
			ok, _ := path.Match(r.Object, p.name(obj))
			ok2, _ := path.Match(r.Object, obj.Value)
			if !ok && !ok2 {
				continue
			}
		}
		r.Hits++
		if r.Hits > r.Skip && (r.Count == 0 || r.Hits <= r.Skip+r.Count) {
			return *r
		}
	}
	return rule{}
}

func newFault(name string) fault {
	if t, ok := types.TypeFunc()(name); ok {
		if f, ok := reflect.New(t).Interface().(fault); ok {
			return f
		}
	}
	return &types.SystemErrorFault{Reason: "unknown fault type in rule: " + name}
}

func (p *peer) Dispatch(ctx *simulator.Context, c *call) soap.HasFault {
	res := p.serve(ctx, c)
	if c.rule.LoseReply {
		panic(http.ErrAbortHandler)
	}
	return res
}

func (p *peer) serve(ctx *simulator.Context, c *call) soap.HasFault {
	var work func(*job) fault
	desc := ""
	switch r := c.body.(type) {
	case *types.EnterMaintenanceMode_Task:
		work, desc = func(j *job) fault { return p.enter(j, c.this, r) }, "HostSystem.enterMaintenanceMode"
	case *types.ExitMaintenanceMode_Task:
		work, desc = func(j *job) fault { return p.exit(j, c.this) }, "HostSystem.exitMaintenanceMode"
	case *types.RebootHost_Task:
		work, desc = func(j *job) fault { return p.reboot(j, c.this, r.Force, c.rule.StayDown) }, "HostSystem.reboot"
	case *types.DisconnectHost_Task:
		work, desc = func(j *job) fault { return p.connect(j.ctx, c.this, types.HostSystemConnectionStateDisconnected) }, "HostSystem.disconnect"
	case *types.ReconnectHost_Task:
		work, desc = func(j *job) fault { return p.connect(j.ctx, c.this, types.HostSystemConnectionStateConnected) }, "HostSystem.reconnect"
	case *types.MigrateVM_Task:
		work, desc = func(j *job) fault {
			return p.migrate(j, c.this, types.VirtualMachineRelocateSpec{Host: r.Host, Pool: r.Pool}, r.State, c.rule)
		}, "VirtualMachine.migrate"
	case *types.RelocateVM_Task:
		work, desc = func(j *job) fault { return p.migrate(j, c.this, r.Spec, "", c.rule) }, "VirtualMachine.relocate"
	case *types.ReconfigureComputeResource_Task:
		return p.reconfigure(ctx, c)
	case *types.FetchUserPrivilegeOnEntities:
		return p.privileges(r)
	case *types.WaitForUpdatesEx:
		return p.wait(ctx, r)
	case *types.CancelWaitForUpdates, *types.DestroyPropertyCollector:
		if w, ok := p.waiters.Load(ctx.Session.Get(c.this)); ok {
			w.(*waiter).cancelled.Store(true)
		}
	case *types.PowerOnVM_Task:
		if c.rule.TaskMs == 0 && c.rule.Fault == "" {
			return p.powerOn(ctx, c)
		}
	}
	if work == nil { // any other method: as the simulator does it, but slower or failing at the end
		if (c.rule.TaskMs == 0 && c.rule.Fault == "") || reply(c.body, c.this) == nil {
			return invoke(ctx, c)
		}
		work = func(j *job) fault {
			if f := j.last(c.rule, 0); f != nil {
				return f
			}
			return j.inner(invoke(ctx, c))
		}
	} else if c.rule.TaskMs > 0 || c.rule.Fault != "" {
		if v := overridden[c.name]; v != "VirtualMachine" { // migrate does this itself, after its checks
			do := work
			work = func(j *job) fault {
				if f := j.last(c.rule, 0); f != nil {
					return f
				}
				return do(j)
			}
		}
	}
	return reply(c.body, p.start(ctx, c.this, c.name, desc, work))
}

// reply is the typed answer of a _Task method; nil for a method that has none here.
func reply(body any, t ref) soap.HasFault {
	switch body.(type) {
	case *types.EnterMaintenanceMode_Task:
		return &methods.EnterMaintenanceMode_TaskBody{Res: &types.EnterMaintenanceMode_TaskResponse{Returnval: t}}
	case *types.ExitMaintenanceMode_Task:
		return &methods.ExitMaintenanceMode_TaskBody{Res: &types.ExitMaintenanceMode_TaskResponse{Returnval: t}}
	case *types.RebootHost_Task:
		return &methods.RebootHost_TaskBody{Res: &types.RebootHost_TaskResponse{Returnval: t}}
	case *types.DisconnectHost_Task:
		return &methods.DisconnectHost_TaskBody{Res: &types.DisconnectHost_TaskResponse{Returnval: t}}
	case *types.ReconnectHost_Task:
		return &methods.ReconnectHost_TaskBody{Res: &types.ReconnectHost_TaskResponse{Returnval: t}}
	case *types.MigrateVM_Task:
		return &methods.MigrateVM_TaskBody{Res: &types.MigrateVM_TaskResponse{Returnval: t}}
	case *types.RelocateVM_Task:
		return &methods.RelocateVM_TaskBody{Res: &types.RelocateVM_TaskResponse{Returnval: t}}
	case *types.PowerOnVM_Task:
		return &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{Returnval: t}}
	case *types.PowerOffVM_Task:
		return &methods.PowerOffVM_TaskBody{Res: &types.PowerOffVM_TaskResponse{Returnval: t}}
	case *types.CreateSnapshot_Task:
		return &methods.CreateSnapshot_TaskBody{Res: &types.CreateSnapshot_TaskResponse{Returnval: t}}
	case *types.RemoveSnapshot_Task:
		return &methods.RemoveSnapshot_TaskBody{Res: &types.RemoveSnapshot_TaskResponse{Returnval: t}}
	case *types.RemoveAllSnapshots_Task:
		return &methods.RemoveAllSnapshots_TaskBody{Res: &types.RemoveAllSnapshots_TaskResponse{Returnval: t}}
	case *types.RevertToSnapshot_Task:
		return &methods.RevertToSnapshot_TaskBody{Res: &types.RevertToSnapshot_TaskResponse{Returnval: t}}
	case *types.RevertToCurrentSnapshot_Task:
		return &methods.RevertToCurrentSnapshot_TaskBody{Res: &types.RevertToCurrentSnapshot_TaskResponse{Returnval: t}}
	}
	return nil
}

// invoke calls the simulator's own method, under the lock it expects.
func invoke(ctx *simulator.Context, c *call) (res soap.HasFault) {
	obj := ctx.Session.Get(c.this)
	name := c.name
	if strings.HasSuffix(name, "_Task") {
		name = strings.TrimSuffix(name, "_Task") + "Task"
	}
	m := reflect.ValueOf(obj).MethodByName(name)
	if obj == nil || !m.IsValid() {
		return &methods.PowerOnVM_TaskBody{Fault_: simulator.Fault("", &types.MethodNotFound{Receiver: c.this, Method: c.name})}
	}
	args := []reflect.Value{reflect.ValueOf(c.body)}
	if m.Type().NumIn() == 2 {
		args = append([]reflect.Value{reflect.ValueOf(ctx)}, args...)
	}
	ctx.WithLock(obj, func() { res = m.Call(args)[0].Interface().(soap.HasFault) })
	return res
}

// taskOf digs the task out of a *_TaskBody
func taskOf(reg *simulator.Registry, res soap.HasFault) *simulator.Task {
	if res.Fault() != nil {
		return nil
	}
	v := reflect.ValueOf(res).Elem().FieldByName("Res").Elem().FieldByName("Returnval")
	t, _ := reg.Get(v.Interface().(ref)).(*simulator.Task)
	return t
}
