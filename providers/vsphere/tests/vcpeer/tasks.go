// Tasks that run without the lock of their object.

package main

import (
	"fmt"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// job runs a task without holding its entity's lock (simulator.Task.Run would hold it all the time,
// and every property read of the object would wait), with progress and cancellation.
type job struct {
	p    *peer
	ctx  *simulator.Context
	task *simulator.Task
	res  types.AnyType
}

func (p *peer) start(ctx *simulator.Context, on ref, name, desc string, work func(*job) fault) ref {
	t := simulator.CreateTask(on, name, nil)
	t.Self = ref{Type: "Task", Value: fmt.Sprintf("task-p%d", p.tasks.Add(1))}
	t.Info.Key, t.Info.Task, t.Info.Name, t.Info.EntityName = t.Self.Value, t.Self, name, p.name(on)
	if desc != "" {
		t.Info.DescriptionId = desc
	}
	user := "vcpeer"
	if ctx.Session != nil {
		user = ctx.Session.UserName
	}
	now := time.Now()
	t.Info.Reason, t.Info.Cancelable, t.Info.State, t.Info.StartTime = &types.TaskReasonUser{UserName: user}, true, types.TaskInfoStateRunning, &now
	j := &job{p: p, ctx: p.own(user), task: t}
	j.ctx.WithLock(on, func() { p.reg.Put(t) }) // the task manager adds t to the object's recentTask
	p.mu.Lock()
	p.open[t.Self] = name + " " + t.Info.EntityName
	p.mu.Unlock()
	go func() {
		f := work(j)
		p.mu.Lock()
		delete(p.open, t.Self)
		p.mu.Unlock()
		c := set{{Name: "info.completeTime", Val: time.Now()}, {Name: "info.state", Val: types.TaskInfoStateSuccess}}
		if f != nil {
			c[1].Val = types.TaskInfoStateError
			c = append(c, types.PropertyChange{Name: "info.error", Val: types.LocalizedMethodFault{Fault: f, LocalizedMessage: fmt.Sprintf("%T", f)}})
		} else if j.res != nil {
			c = append(c, types.PropertyChange{Name: "info.result", Val: j.res})
		}
		j.ctx.WithLock(t, func() {
			if t.Info.State == types.TaskInfoStateRunning {
				j.ctx.Update(t, c)
			}
		})
	}()
	return t.Self
}

func (j *job) cancelled() (yes bool) {
	j.ctx.WithLock(j.task, func() { yes = j.task.Info.State != types.TaskInfoStateRunning })
	return
}

// last sleeps a rule's or the given time in ten steps of progress, then gives the rule's fault.
func (j *job) last(r rule, ms int) fault {
	if r.TaskMs > 0 {
		ms = r.TaskMs
	}
	for i := 1; i <= 10 && ms > 0; i++ {
		time.Sleep(time.Duration(ms) * time.Millisecond / 10)
		if j.cancelled() {
			return &types.RequestCanceled{}
		}
		j.progress(int32(i * 10))
	}
	if r.Fault != "" {
		return newFault(r.Fault)
	}
	return nil
}

func (j *job) progress(percent int32) {
	j.ctx.WithLock(j.task, func() {
		if j.task.Info.State == types.TaskInfoStateRunning && j.task.Info.Progress != percent {
			j.ctx.Update(j.task, set{{Name: "info.progress", Val: min(percent, 99)}})
		}
	})
}

// inner waits for a task of the simulator's own and takes over its outcome
func (j *job) inner(res soap.HasFault) fault {
	if f := res.Fault(); f != nil {
		return f.VimFault().(fault)
	}
	t := taskOf(j.p.reg, res)
	t.Wait()
	j.res = t.Info.Result
	if t.Info.Error != nil {
		return t.Info.Error.Fault
	}
	return nil
}
