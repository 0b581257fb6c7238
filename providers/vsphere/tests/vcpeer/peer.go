// What a test may change, and what the peer knows of the simulated inventory.

package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

type (
	ref   = types.ManagedObjectReference
	fault = types.BaseMethodFault
	dict  = map[string]any
	set   = []types.PropertyChange
)

// rule changes calls whose method and object name (globs; empty = any) match.
type rule struct {
	Method    string `json:"method"`
	Object    string `json:"object"`
	DelayMs   int    `json:"delay_ms"`   // before anything else
	Fault     string `json:"fault"`      // vim fault type name, e.g. "Timedout"
	Stage     string `json:"stage"`      // "call" (default): SOAP fault; "task": the task fails at its end
	TaskMs    int    `json:"task_ms"`    // how long the task runs
	Abort     bool   `json:"abort"`      // close the connection, nothing done
	LoseReply bool   `json:"lose_reply"` // done, then close the connection
	StayDown  bool   `json:"stay_down"`  // RebootHost_Task: the host never comes back
	Skip      int    `json:"skip"`       // let this many calls pass first
	Count     int    `json:"count"`      // then match at most this often (0 = always)
	Hits      int    `json:"hits"`
}

type settings struct {
	MigrateMs    int `json:"migrate_ms"`
	AtOnce       int `json:"at_once"`        // concurrent evacuations from one host
	RebootLagMs  int `json:"reboot_lag_ms"`  // task success -> notResponding
	RebootDownMs int `json:"reboot_down_ms"` // notResponding -> connected
	BootWaitMs   int `json:"boot_wait_ms"`   // how long vLCM waits for a host
}

type entry struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`
	Host string    `json:"host,omitempty"`
	VM   string    `json:"vm,omitempty"`
	Note string    `json:"note,omitempty"`
}

type hostState struct {
	name               string
	mm, entering, down bool
	incoming           int // migrations and power-ons on their way to it
	onBoot             dict
}

type vmState struct {
	name string
	host ref
	on   bool
	busy *ref // the task that migrates it
}

type peer struct {
	mo.ExtensibleManagedObject // gives Self and Reference(), and property reads a type to look at
	svc                        *simulator.Service
	reg                        *simulator.Registry
	tasks                      atomic.Int64

	waiters    sync.Map        // *simulator.PropertyCollector -> *waiter
	changes    [2]atomic.Int64 // updates of inventory objects; of tasks, events and the like
	calls      tally
	mu         sync.Mutex // guards all below; never held over a call into the simulator
	cfg        settings
	rules      []*rule
	hosts      map[ref]*hostState
	vms        map[ref]*vmState
	violations []entry
	journal    []entry
	missing    []string          // rights that nobody has
	open       map[ref]string    // tasks that are under way, and what they do
	apart      [][]string        // machines that a rule keeps on hosts of their own
	sessions   map[string]string // of the REST API: token -> user

	images images
	record recorder
}

// Lock and Unlock make the registry skip its per-object lock for peer.
func (*peer) Lock()   {}
func (*peer) Unlock() {}

// own returns a fresh lock owner that can also post events.
func (p *peer) own(user string) *simulator.Context {
	c := *p.svc.Context
	c.Context = context.Background()
	c.Map = p.reg
	c.Session = &simulator.Session{UserSession: types.UserSession{UserName: user}, Registry: simulator.NewRegistry(), Map: p.reg}
	return &c
}

func (p *peer) name(r ref) string {
	if e, ok := p.reg.Get(r).(mo.Entity); ok {
		return e.Entity().Name
	}
	return r.Value
}
