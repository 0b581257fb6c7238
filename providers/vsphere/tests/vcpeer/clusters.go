// Settings of a cluster that the simulator drops.

package main

import (
	"reflect"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// reconfigure stores what the simulator drops, lets it do the rest and then sends the update it does not send.
func (p *peer) reconfigure(ctx *simulator.Context, c *call) soap.HasFault {
	cl := p.reg.Get(c.this).(*simulator.ClusterComputeResource)
	if spec, ok := c.body.(*types.ReconfigureComputeResource_Task).Spec.(*types.ClusterConfigSpecEx); ok {
		ctx.WithLock(cl, func() {
			cfg := *cl.ConfigurationEx.(*types.ClusterConfigInfoEx)
			if spec.DasConfig != nil {
				merge(&cfg.DasConfig, spec.DasConfig)
			}
			if spec.DrsConfig != nil {
				merge(&cfg.DrsConfig, spec.DrsConfig)
			}
			if spec.DpmConfig != nil {
				cfg.DpmConfigInfo = spec.DpmConfig
			}
			if spec.InfraUpdateHaConfig != nil {
				cfg.InfraUpdateHaConfig = spec.InfraUpdateHaConfig
			}
			if spec.ProactiveDrsConfig != nil {
				cfg.ProactiveDrsConfig = spec.ProactiveDrsConfig
			}
			cl.ConfigurationEx = &cfg
		})
	}
	res := invoke(ctx, c)
	if t := taskOf(p.reg, res); t != nil {
		go func() {
			t.Wait()
			own := p.own("vcpeer")
			own.WithLock(cl, func() {
				cfg := *cl.ConfigurationEx.(*types.ClusterConfigInfoEx)
				own.Update(cl, set{{Name: "configurationEx", Val: &cfg}})
			})
		}()
	}
	return res
}

// merge copies the set fields of src
func merge(dst, src any) {
	d, s := reflect.ValueOf(dst).Elem(), reflect.ValueOf(src).Elem()
	for i := range s.NumField() {
		if !s.Field(i).IsZero() {
			d.Field(i).Set(s.Field(i))
		}
	}
}
