"""Reads a cluster of a vCenter with pyVmomi, the vendor's own client, and prints it as JSON.

read_back.py SERVER CA USER CLUSTER: the password is in the environment, as VSPHERE_PASSWORD. Properties are asked for one
by one: the simulator sends structures that pyVmomi cannot read as a whole.
"""

import json
import os
import ssl
import sys
from uuid import UUID

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim, vmodl


def collect(content, kind, paths):
    """The named properties of every object of a kind."""
    view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
    collector = vmodl.query.PropertyCollector
    walk = collector.TraversalSpec(name="view", path="view", skip=False, type=vim.view.ContainerView)
    spec = collector.FilterSpec(
        objectSet=[collector.ObjectSpec(obj=view, skip=True, selectSet=[walk])],
        propSet=[collector.PropertySpec(type=kind, pathSet=paths, all=False)],
    )
    for found in content.propertyCollector.RetrieveContents([spec]):
        yield found.obj, {prop.name: prop.val for prop in found.propSet}


def main():
    server, ca, user, name = sys.argv[1:]
    host, port = server.rsplit(":", 1)
    trust = ssl.create_default_context(cafile=ca)
    service = SmartConnect(
        host=host, port=int(port), user=user, pwd=os.environ["VSPHERE_PASSWORD"], sslContext=trust
    )
    try:
        content = service.RetrieveContent()
        names, hosts, vms, cluster = {}, {}, {}, None
        paths = [
            "name",
            "runtime.connectionState",
            "runtime.inMaintenanceMode",
            "runtime.bootTime",
            "config.product.version",
            "config.product.build",
        ]
        for host, is_ in collect(content, vim.HostSystem, paths):
            names[host] = is_["name"]
            hosts[is_["name"]] = {
                "state": str(is_["runtime.connectionState"]),
                "maintenance": is_["runtime.inMaintenanceMode"],
                "boot": str(is_.get("runtime.bootTime")),
                "version": f"{is_['config.product.version']}-{is_['config.product.build']}",
            }
        machines = {}
        paths = ["name", "runtime.host", "runtime.powerState", "config.uuid", "config.version"]
        for vm, is_ in collect(content, vim.VirtualMachine, paths):
            machines[vm] = is_["name"]
            uuid = UUID(is_["config.uuid"])
            if int(is_["config.version"].removeprefix("vmx-")) >= 13:
                # As its system reads it by SMBIOS 2.7.
                uuid = UUID(bytes=uuid.bytes_le)
            vms[is_["name"]] = {
                "host": names[is_["runtime.host"]],
                "power": str(is_["runtime.powerState"]),
                "uuid": str(uuid),
            }
        config = [
            "name",
            "configurationEx.drsConfig.enabled",
            "configurationEx.drsConfig.defaultVmBehavior",
            "configurationEx.drsConfig.enableVmBehaviorOverrides",
            "configurationEx.dasConfig.enabled",
            "configurationEx.dasConfig.admissionControlEnabled",
            "configurationEx.rule",
        ]
        for _, is_ in collect(content, vim.ClusterComputeResource, config):
            if is_["name"] != name:
                continue
            rules = is_.get("configurationEx.rule", [])
            cluster = {
                "settings": {path: str(is_.get(path)) for path in config[1:-1]},
                "apart": [
                    sorted(machines[vm] for vm in rule.vm)
                    for rule in rules
                    if isinstance(rule, vim.cluster.AntiAffinityRuleSpec) and rule.enabled
                ],
            }
    finally:
        Disconnect(service)
    print(json.dumps({"hosts": hosts, "vms": vms, "cluster": cluster}, sort_keys=True))


if __name__ == "__main__":
    main()
