// What surrounds hosts and machines, which a look through an estate reads: name servers, storage paths, snapshots,
// scheduled tasks, and what a user may not do.

package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

type aroundReq struct {
	Host   string     `json:"host"`
	DNS    []string   `json:"dns"`
	NTP    []string   `json:"ntp"`
	Domain string     `json:"domain"`
	Paths  [][]string `json:"paths"` // per device the states of its paths
	Boot   *time.Time `json:"boot"`

	Storage []deviceReq `json:"storage"`
}

// A device with its paths, as a host tells them: keys everywhere, and names beside them.
type deviceReq struct {
	Name  string    `json:"name"` // such as naa.6006
	Paths []pathReq `json:"paths"`
}

type pathReq struct {
	Adapter string   `json:"adapter"` // such as vmhba2
	State   string   `json:"state"`
	WWPN    int64    `json:"wwpn"`
	WWNN    int64    `json:"wwnn"`
	IQN     string   `json:"iqn"`
	Address []string `json:"address"`
}

func (q *pathReq) transport() types.BaseHostTargetTransport {
	switch {
	case q.WWPN != 0:
		return &types.HostFibreChannelTargetTransport{PortWorldWideName: q.WWPN, NodeWorldWideName: q.WWNN}
	case q.IQN != "":
		return &types.HostInternetScsiTargetTransport{IScsiName: q.IQN, Address: q.Address}
	}
	return &types.HostBlockAdapterTargetTransport{}
}

func storageOf(devices []deviceReq) *types.HostStorageDeviceInfo {
	info := &types.HostStorageDeviceInfo{MultipathInfo: &types.HostMultipathInfo{}}
	adapters := map[string]bool{}
	for n, device := range devices {
		key := fmt.Sprintf("key-vim.host.ScsiDisk-%d", n)
		info.ScsiLun = append(info.ScsiLun, &types.ScsiLun{Key: key, CanonicalName: device.Name})
		unit := types.HostMultipathInfoLogicalUnit{Key: fmt.Sprint(n), Id: fmt.Sprint(n), Lun: key}
		for _, path := range device.Paths {
			adapter := "key-vim.host.BlockHba-" + path.Adapter
			if !adapters[adapter] {
				adapters[adapter] = true
				info.HostBusAdapter = append(info.HostBusAdapter, &types.HostBlockHba{HostHostBusAdapter: types.HostHostBusAdapter{Key: adapter, Device: path.Adapter}})
			}
			unit.Path = append(unit.Path, types.HostMultipathInfoPath{
				Name:      fmt.Sprintf("%s:C0:T%d:L%d", path.Adapter, len(unit.Path), n),
				PathState: path.State, State: path.State, Adapter: adapter, Transport: path.transport(),
			})
		}
		info.MultipathInfo.Lun = append(info.MultipathInfo.Lun, unit)
	}
	return info
}

func (p *peer) setAround(q *aroundReq) error {
	host, err := p.hostNamed(q.Host)
	if err != nil {
		return err
	}
	ctx := p.own("vcpeer")
	ctx.WithLock(host, func() {
		cfg := *host.Config // hosts share what the simulator copies them from
		if len(q.DNS) > 0 {
			cfg.Network = &types.HostNetworkInfo{DnsConfig: &types.HostDnsConfig{Address: q.DNS}}
		}
		if len(q.NTP) > 0 {
			cfg.DateTimeInfo = &types.HostDateTimeInfo{NtpConfig: &types.HostNtpConfig{Server: q.NTP}}
		}
		if q.Domain != "" {
			cfg.AuthenticationManagerInfo = &types.HostAuthenticationManagerInfo{AuthConfig: []types.BaseHostAuthenticationStoreInfo{
				&types.HostLocalAuthenticationInfo{},
				&types.HostActiveDirectoryInfo{HostDirectoryStoreInfo: types.HostDirectoryStoreInfo{}, JoinedDomain: q.Domain},
			}}
		}
		if len(q.Paths) > 0 {
			info := &types.HostMultipathInfo{}
			for device, states := range q.Paths {
				lun := types.HostMultipathInfoLogicalUnit{Id: fmt.Sprint(device), Key: fmt.Sprint(device)}
				for n, state := range states {
					lun.Path = append(lun.Path, types.HostMultipathInfoPath{Name: fmt.Sprintf("vmhba%d:C0:T0:L%d", n, device), PathState: state, State: state})
				}
				info.Lun = append(info.Lun, lun)
			}
			cfg.StorageDevice = &types.HostStorageDeviceInfo{MultipathInfo: info}
		}
		if len(q.Storage) > 0 {
			cfg.StorageDevice = storageOf(q.Storage)
		}
		host.Config = &cfg
		if q.Boot != nil {
			host.Runtime.BootTime = q.Boot
		}
	})
	return nil
}

type snapshotReq struct {
	Machine string `json:"machine"`
	Hours   []int  `json:"hours"` // each made on top of the one before
	Address string `json:"address"`
	Guest   string `json:"guest"` // its own name of itself
}

func (p *peer) setSnapshots(q *snapshotReq) error {
	vm, err := p.machine(q.Machine)
	if err != nil {
		return err
	}
	p.own("vcpeer").WithLock(vm, func() {
		var trees []types.VirtualMachineSnapshotTree
		for _, hours := range slices.Backward(q.Hours) {
			trees = []types.VirtualMachineSnapshotTree{{
				Snapshot: ref{Type: "VirtualMachineSnapshot", Value: fmt.Sprint("snapshot-", hours)}, Vm: vm.Self,
				Name: fmt.Sprintf("%d hours old", hours), CreateTime: time.Now().Add(-time.Duration(hours) * time.Hour),
				State: types.VirtualMachinePowerStatePoweredOn, ChildSnapshotList: trees,
			}}
		}
		if len(trees) > 0 {
			vm.Snapshot = &types.VirtualMachineSnapshotInfo{RootSnapshotList: trees}
		}
		guest := *vm.Guest
		guest.IpAddress, guest.HostName = q.Address, q.Guest
		vm.Guest = &guest
	})
	return nil
}

type extensionReq struct {
	Key string `json:"key"`
}

// setExtension registers one, as a product does that works with this vCenter.
func (p *peer) setExtension(q *extensionReq) error {
	manager := p.reg.Get(*p.content().ExtensionManager).(*simulator.ExtensionManager)
	extension := types.Extension{Key: q.Key, Description: &types.Description{Label: q.Key, Summary: q.Key}, Version: "1.0", LastHeartbeatTime: time.Now()}
	ctx := p.own("vcpeer")
	ctx.WithLock(manager, func() {
		manager.ExtensionList = append(slices.Clone(manager.ExtensionList), extension)
	})
	return nil
}

type scheduleReq struct {
	Name    string `json:"name"`
	Enabled bool   `json:"enabled"`
	Calls   string `json:"calls"`
	None    bool   `json:"none"` // there is nobody who knows of them
}

// setScheduled adds a scheduled task; the manager that the simulator has knows none.
func (p *peer) setScheduled(q *scheduleReq) error {
	id := *p.content().ScheduledTaskManager
	if q.None {
		p.reg.Remove(p.own("vcpeer"), id)
		return nil
	}
	manager, ok := p.reg.Get(id).(*mo.ScheduledTaskManager)
	if !ok {
		manager = &mo.ScheduledTaskManager{Self: id}
		p.reg.Put(manager)
	}
	task := &mo.ScheduledTask{Info: types.ScheduledTaskInfo{ScheduledTaskSpec: types.ScheduledTaskSpec{
		Name: q.Name, Enabled: q.Enabled, Action: &types.MethodAction{Name: q.Calls},
	}}}
	task.Self = ref{Type: "ScheduledTask", Value: fmt.Sprint("schedule-", len(manager.ScheduledTask))}
	p.reg.Put(task)
	manager.ScheduledTask = append(manager.ScheduledTask, task.Self)
	return nil
}

func (p *peer) content() types.ServiceContent {
	return p.reg.Get(ref{Type: "ServiceInstance", Value: "ServiceInstance"}).(*simulator.ServiceInstance).Content
}

type rightsReq struct {
	Missing []string `json:"missing"`
}

// lifecycle are rights of a vCenter that the simulator, which has those of a host, does not know.
var lifecycle = []string{
	"VcIntegrity.lifecycleHealth.Read", "VcIntegrity.lifecycleSoftwareSpecification.Read",
	"VcIntegrity.lifecycleSoftwareRemediation.Read", "VcIntegrity.lifecycleSoftwareRemediation.Write",
}

// privileges answers in place of the simulator, which grants everything to everybody.
func (p *peer) privileges(q *types.FetchUserPrivilegeOnEntities) soap.HasFault {
	roles := p.reg.Get(*p.content().AuthorizationManager).(*simulator.AuthorizationManager).RoleList
	p.mu.Lock()
	missing := p.missing
	p.mu.Unlock()
	var granted []string
	all := append(slices.Clone(lifecycle), object.AuthorizationRoleList(roles).ByName("Admin").Privilege...)
	for _, right := range all {
		if !slices.Contains(missing, right) {
			granted = append(granted, right)
		}
	}
	var results []types.UserPrivilegeResult
	for _, entity := range q.Entities {
		results = append(results, types.UserPrivilegeResult{Entity: entity, Privileges: granted})
	}
	return &methods.FetchUserPrivilegeOnEntitiesBody{Res: &types.FetchUserPrivilegeOnEntitiesResponse{Returnval: results}}
}
