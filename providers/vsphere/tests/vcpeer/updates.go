// Property updates by snapshots.

package main

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// waiter is what the client of one PropertyCollector has been told. The simulator's own WaitForUpdatesEx
// collects every object of a filter again for each single update anywhere (200 objects: 10 ms, so it
// falls behind for minutes), and its version is always "-". This one compares snapshots: once per
// change of anything, and a client which asks again with its last version gets the same again.
type waiter struct {
	mu        sync.Mutex // one wait at a time
	cancelled atomic.Bool
	ended     atomic.Bool // with the login
	version   int
	told      map[string]snapshot          // the last two versions
	rest      []types.PropertyFilterUpdate // what a truncated answer was cut from
}

type snapshot map[ref]map[ref]map[string]types.AnyType // filter, object, path

func (p *peer) wait(ctx *simulator.Context, req *types.WaitForUpdatesEx) soap.HasFault {
	pc, ok := ctx.Session.Get(req.This).(*simulator.PropertyCollector)
	if !ok {
		return &methods.WaitForUpdatesExBody{Fault_: simulator.Fault("", &types.ManagedObjectNotFound{Obj: req.This})}
	}
	x, _ := p.waiters.LoadOrStore(pc, &waiter{})
	w := x.(*waiter)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancelled.Store(false)
	base, known := w.told[req.Version]
	if !known && req.Version != "" {
		return &methods.WaitForUpdatesExBody{Fault_: simulator.Fault("", &types.InvalidCollectorVersion{})}
	}
	limit, end := 100, time.Now().Add(10*time.Minute)
	if o := req.Options; o != nil {
		if o.MaxObjectUpdates > 0 {
			limit = min(limit, int(o.MaxObjectUpdates))
		}
		if o.MaxWaitSeconds != nil {
			end = time.Now().Add(time.Duration(*o.MaxWaitSeconds) * time.Second)
		}
	}
	body := &methods.WaitForUpdatesExBody{Res: &types.WaitForUpdatesExResponse{}}
	for {
		began, seen, tasks := time.Now(), p.changes[0].Load(), p.changes[1].Load()
		all, cut, watchesTasks := w.rest, w.rest != nil && req.Version != "", false
		if w.rest = nil; !cut {
			var f *soap.Fault
			if all, watchesTasks, f = p.collect(ctx, pc); f != nil {
				return &methods.WaitForUpdatesExBody{Fault_: f}
			}
		}
		if set, next := diff(base, all, limit); len(set.FilterSet) > 0 || req.Version == "" {
			w.version++
			set.Version = strconv.Itoa(w.version)
			w.told = map[string]snapshot{req.Version: base, set.Version: next}
			delete(w.told, "")
			if set.Truncated != nil {
				w.rest = all
			}
			body.Res.Returnval = set
			return body
		}
		if cut { // nothing left of it: look afresh
			continue
		}
		pause := max(20*time.Millisecond, 2*time.Since(began))
		for {
			if time.Now().After(end) {
				return body
			}
			time.Sleep(min(pause, time.Until(end)+time.Millisecond))
			if w.ended.Load() {
				return &methods.WaitForUpdatesExBody{Fault_: simulator.Fault("", &types.NotAuthenticated{})}
			}
			if w.cancelled.Load() {
				return &methods.WaitForUpdatesExBody{Fault_: simulator.Fault("", &types.RequestCanceled{})}
			}
			if p.changes[0].Load() != seen || (watchesTasks && p.changes[1].Load() != tasks) {
				break
			}
			pause = 20 * time.Millisecond
		}
	}
}

// collect reads everything the filters of pc ask for, through the simulator
func (p *peer) collect(ctx *simulator.Context, pc *simulator.PropertyCollector) (all []types.PropertyFilterUpdate, tasks bool, f *soap.Fault) {
	for _, id := range slices.Clone(pc.Filter) {
		filter, ok := ctx.Session.Get(id).(*simulator.PropertyFilter)
		if !ok {
			continue
		}
		for _, s := range filter.Spec.PropSet {
			tasks = tasks || noise(s.Type)
		}
		res := pc.RetrievePropertiesEx(ctx, &types.RetrievePropertiesEx{This: pc.Self, SpecSet: []types.PropertyFilterSpec{filter.Spec}})
		if res.Fault() != nil {
			return nil, false, res.Fault()
		}
		u := types.PropertyFilterUpdate{Filter: id}
		for _, o := range res.(*methods.RetrievePropertiesExBody).Res.Returnval.Objects {
			ou := types.ObjectUpdate{Kind: types.ObjectUpdateKindEnter, Obj: o.Obj, MissingSet: o.MissingSet}
			for _, v := range o.PropSet {
				ou.ChangeSet = append(ou.ChangeSet, types.PropertyChange{Name: v.Name, Op: types.PropertyChangeOpAssign, Val: v.Val})
			}
			u.ObjectSet = append(u.ObjectSet, ou)
		}
		all = append(all, u)
	}
	return
}

// noise tells the types whose changes matter only to those who watch them
func noise(kind string) bool {
	return strings.HasPrefix(kind, "Task") || strings.HasPrefix(kind, "Event")
}

// diff gives at most limit object updates that lead from base towards all, and where they lead
func diff(base snapshot, all []types.PropertyFilterUpdate, limit int) (*types.UpdateSet, snapshot) {
	set, next := &types.UpdateSet{}, snapshot{}
	for _, u := range all {
		was, is := base[u.Filter], map[ref]map[string]types.AnyType{}
		out := types.PropertyFilterUpdate{Filter: u.Filter}
		add := func(o types.ObjectUpdate) bool {
			if limit--; limit < 0 {
				set.Truncated = types.NewBool(true)
				return false
			}
			out.ObjectSet = append(out.ObjectSet, o)
			return true
		}
		for _, o := range u.ObjectSet {
			props := map[string]types.AnyType{}
			for _, c := range o.ChangeSet {
				props[c.Name] = c.Val
			}
			old, there := was[o.Obj]
			if there {
				o.Kind, o.MissingSet = types.ObjectUpdateKindModify, nil
				o.ChangeSet = slices.DeleteFunc(slices.Clone(o.ChangeSet), func(c types.PropertyChange) bool { return reflect.DeepEqual(old[c.Name], c.Val) })
				for name := range old {
					if _, ok := props[name]; !ok {
						o.ChangeSet = append(o.ChangeSet, types.PropertyChange{Name: name, Op: types.PropertyChangeOpAssign})
					}
				}
			}
			if (there && len(o.ChangeSet) == 0) || add(o) {
				is[o.Obj] = props
			} else if there {
				is[o.Obj] = old
			}
		}
		present := map[ref]bool{}
		for _, o := range u.ObjectSet {
			present[o.Obj] = true
		}
		for r, old := range was {
			if !present[r] && !add(types.ObjectUpdate{Kind: types.ObjectUpdateKindLeave, Obj: r}) {
				is[r] = old
			}
		}
		if next[u.Filter] = is; len(out.ObjectSet) > 0 {
			set.FilterSet = append(set.FilterSet, out)
		}
	}
	return set, next
}

func (p *peer) changed(kind string) {
	if noise(kind) {
		p.changes[1].Add(1)
	} else {
		p.changes[0].Add(1)
	}
}
