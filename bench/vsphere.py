"""Reads properties of every machine of a vCenter with pyVmomi, in pages, and prints how many machines there are.

    vsphere.py SERVER CA USER PROPERTY...        the password is in VSPHERE_PASSWORD
"""

import os
import ssl
import sys

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim, vmodl

# As many as need the least memory without being slower.
PAGE = 1000


def main():
    server, ca, user, paths = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    host, port = server.rsplit(":", 1)
    context = ssl.create_default_context(cafile=ca)
    si = SmartConnect(host=host, port=int(port), user=user, pwd=os.environ["VSPHERE_PASSWORD"], sslContext=context)
    content = si.RetrieveContent()
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    of = vmodl.query.PropertyCollector
    traversal = of.TraversalSpec(name="members", path="view", skip=False, type=vim.view.ContainerView)
    spec = of.FilterSpec(
        objectSet=[of.ObjectSpec(obj=view, skip=True, selectSet=[traversal])],
        propSet=[of.PropertySpec(type=vim.VirtualMachine, pathSet=paths)],
    )
    machines = []
    page = content.propertyCollector.RetrievePropertiesEx([spec], of.RetrieveOptions(maxObjects=PAGE))
    while page:
        for found in page.objects:
            machines.append({part.name: part.val for part in found.propSet})
        page = page.token and content.propertyCollector.ContinueRetrievePropertiesEx(page.token)
    view.Destroy()
    Disconnect(si)
    print(len(machines), "machines")


main()
