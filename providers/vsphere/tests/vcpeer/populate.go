// Virtual machines, quickly.

package main

import (
	"fmt"
	"log"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// populate makes n powered-on VMs per cluster, VM i on host i mod hosts. Model.Create would put them on
// random hosts and poll each of its tasks for 20 ms and more.
func (p *peer) populate(n int) {
	folder := p.reg.Get(p.reg.Any("Datacenter").(*simulator.Datacenter).VmFolder).(*simulator.Folder)
	var clusters []*simulator.ClusterComputeResource
	for _, e := range p.reg.All("ClusterComputeResource") {
		clusters = append(clusters, e.(*simulator.ClusterComputeResource))
	}
	slices.SortFunc(clusters, func(a, b *simulator.ClusterComputeResource) int { return strings.Compare(a.Name, b.Name) })
	var port *types.DistributedVirtualSwitchPortConnection // the distributed port group Model.Create made
	for _, e := range p.reg.All("DistributedVirtualPortgroup") {
		if pg := e.(*simulator.DistributedVirtualPortgroup); !strings.Contains(pg.Name, "DVUplinks") {
			dvs := p.reg.Get(*pg.Config.DistributedVirtualSwitch).(*simulator.DistributedVirtualSwitch)
			port = &types.DistributedVirtualSwitchPortConnection{PortgroupKey: pg.Key, SwitchUuid: dvs.Uuid}
		}
	}
	network := func() types.BaseVirtualDeviceBackingInfo { // a new one each time: calling the simulator directly, nothing copies it
		if port == nil {
			return &types.VirtualEthernetCardNetworkBackingInfo{VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: "VM Network"}}
		}
		return &types.VirtualEthernetCardDistributedVirtualPortBackingInfo{Port: *port}
	}
	var made []*simulator.Task // each task waits for the folder's lock, so they run in this order
	for _, cl := range clusters {
		for i := range n {
			var devices object.VirtualDeviceList
			name, host := fmt.Sprintf("%s-vm%04d", cl.Name, i), cl.Host[i%len(cl.Host)]
			scsi, _ := devices.CreateSCSIController("pvscsi")
			nic, _ := devices.CreateEthernetCard("vmxnet3", network())
			disk := devices.CreateDisk(scsi.(types.BaseVirtualController), ref{}, "[LocalDS_0] "+name+"/disk1.vmdk")
			disk.CapacityInKB = 10 << 20
			change, _ := append(devices, scsi, disk, nic).ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
			made = append(made, taskOf(p.reg, folder.CreateVMTask(p.own("vcpeer"), &types.CreateVM_Task{This: folder.Self, Pool: *cl.ResourcePool, Host: &host,
				Config: types.VirtualMachineConfigSpec{Name: name, GuestId: "otherGuest", NumCPUs: 2, MemoryMB: 4096, DeviceChange: change,
					Files: &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"}}})))
		}
	}
	for _, t := range made {
		if t.Wait(); t.Info.Error != nil {
			log.Fatalf("%#v", t.Info.Error.Fault)
		}
		vm := p.reg.Get(t.Info.Result.(ref)).(*simulator.VirtualMachine)
		ctx := p.own("vcpeer") // PowerOnVMTask would cost 5 ms of CPU each, for a copy of the devices through XML
		now := time.Now()
		ctx.WithLock(vm, func() {
			for _, d := range vm.Config.Hardware.Device {
				if c := d.GetVirtualDevice().Connectable; c != nil {
					c.Connected = c.StartConnected
				}
			}
			vm.Guest.ToolsRunningStatus = string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
			ctx.Update(vm, append(both("runtime.powerState", types.VirtualMachinePowerStatePoweredOn), both("runtime.bootTime", &now)...))
		})
	}
}
