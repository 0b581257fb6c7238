// vcpeer: govmomi's vCenter simulator with host maintenance, reboot and migration that behave,
// run-time fault rules and an assertion log. Own code on the public API of the govmomi module.
//
// Technique: every object stays registered as the simulator made it (its code casts to *HostSystem,
// *VirtualMachine, ... in some 70 places). Registry.Handler sees each SOAP call first; for calls that
// need other behaviour it points method.This at one extra object, peer, whose Dispatch runs instead.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/vmware/govmomi/simulator"

	_ "github.com/vmware/govmomi/cns/simulator"
	_ "github.com/vmware/govmomi/eam/simulator"
	_ "github.com/vmware/govmomi/lookup/simulator"
	_ "github.com/vmware/govmomi/pbm/simulator"
	_ "github.com/vmware/govmomi/sts/simulator"
	_ "github.com/vmware/govmomi/vapi/appliance/simulator"
	_ "github.com/vmware/govmomi/vapi/cis/tasks/simulator"
	_ "github.com/vmware/govmomi/vapi/cluster/simulator"
	_ "github.com/vmware/govmomi/vapi/esx/settings/simulator"
	_ "github.com/vmware/govmomi/vapi/namespace/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
	_ "github.com/vmware/govmomi/vapi/vm/simulator"
	_ "github.com/vmware/govmomi/vsan/simulator"
	_ "github.com/vmware/govmomi/vslm/simulator"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	m := simulator.VPX()
	flag.IntVar(&m.Cluster, "cluster", 1, "clusters")
	flag.IntVar(&m.ClusterHost, "host", 3, "hosts per cluster")
	flag.IntVar(&m.Datastore, "ds", 1, "datastores")
	vms := flag.Int("vm", 12, "VMs per cluster, spread evenly")
	slow := flag.Bool("slow", false, "let Model.Create make the VMs, at random hosts")
	listen := flag.String("listen", "127.0.0.1:0", "SDK address")
	ctl := flag.String("control", "127.0.0.1:0", "control address")
	user := flag.String("user", "administrator@vsphere.local", "")
	pass := flag.String("pass", "s3cret", "")
	ca := flag.String("ca", "vcpeer-ca.pem", "where to write the CA certificate")
	updates := flag.String("updates", "own", "who serves WaitForUpdatesEx: own or vcsim")
	record := flag.String("record", "", "where to write each call of the REST API and its answer")
	flag.Parse()
	if *updates == "own" {
		for _, n := range []string{"WaitForUpdatesEx", "CancelWaitForUpdates", "DestroyPropertyCollector"} {
			overridden[n] = "PropertyCollector"
		}
	}
	began := time.Now()
	var err error

	m.Host, m.Machine = 0, 0
	if *slow {
		m.Machine = *vms
	}
	about := &m.ServiceContent.About
	about.ApiVersion, about.Version, about.Build, about.FullName = "8.0.3.0", "8.0.3", "24022515", "VMware vCenter Server 8.0.3 build-24022515"
	check(m.Create())
	reg := m.Map()
	p := &peer{svc: m.Service, reg: reg, hosts: map[ref]*hostState{}, vms: map[ref]*vmState{}, sessions: map[string]string{}, open: map[ref]string{},
		cfg: settings{MigrateMs: 100, AtOnce: 8, RebootLagMs: 300, RebootDownMs: 1500, BootWaitMs: 20000}}
	p.Self = ref{Type: "VcPeer", Value: "vcpeer"}
	p.furnish()
	p.furnishImages()
	if !*slow {
		p.populate(*vms)
	}
	for _, kind := range []string{"HostSystem", "VirtualMachine"} {
		for _, e := range reg.All(kind) {
			p.PutObject(nil, e)
		}
	}
	reg.AddHandler(p)
	reg.Put(p)
	reg.Handler = p.hook

	m.Service.Listen = &url.URL{Host: *listen, User: url.UserPassword(*user, *pass)}
	own := certificate(*ca)
	m.Service.TLS = &tls.Config{Certificates: []tls.Certificate{own}}
	m.Service.RegisterEndpoints = true
	m.Service.ServeMux = http.NewServeMux() // ours first: Go's mux prefers the more specific pattern to vAPI's "/api/"
	if *record != "" {
		p.record.to, err = os.Create(*record)
		check(err)
	}
	m.Service.ServeMux.HandleFunc("POST /api/session", p.record.record(p.apiSession(m.Service.ServeMux)))
	m.Service.ServeMux.HandleFunc("DELETE /api/session", p.record.record(p.logOut))
	p.lifecycle(m.Service.ServeMux)
	s := m.Service.NewServer()
	l, err := net.Listen("tcp", *ctl)
	check(err)
	go func() { check(http.Serve(l, p.control())) }()

	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	ready, _ := json.Marshal(dict{"fingerprint": fmt.Sprintf("%x", sha256.Sum256(own.Certificate[0])), "sdk": "https://" + s.URL.Host + "/sdk", "control": "http://" + l.Addr().String() + "/patchcore/", "ca": *ca, "pid": os.Getpid(),
		"ready_s": time.Since(began).Seconds(), "cpu_s": float64(ru.Utime.Nano()+ru.Stime.Nano()) / 1e9, "maxrss_mb": ru.Maxrss / 1024})
	fmt.Println(string(ready))
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	<-c
	m.Remove() // not s.Close: it would wait for clients that wait for updates
}
