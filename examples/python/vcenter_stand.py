"""A server that stands for a vCenter, and what it saw: asked past its API, so that nobody vouches for himself.

``cargo xtask test peers`` builds it once; a user with a vCenter needs none of this.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

USER = "administrator@vsphere.local"
PASSWORD = "s3cret-of-the-tests"

CLUSTER = "DC0_C0"
"""Its only cluster."""

IMAGE, BUILD = "8.0.3-0.35.24280767", "24280767"
"""The image that is wanted, and the build by which a host that runs it is known."""

APART = ("DC0_C0-vm0000", "DC0_C0-vm0001")
"""Two machines that a rule keeps on hosts of their own."""


def program() -> Path:
    """Where it was built."""
    target = os.environ.get("CARGO_TARGET_DIR", Path(__file__).resolve().parents[2] / "target")
    built = Path(target) / "peers/vcpeer"
    if not built.is_file():
        raise FileNotFoundError(f"{built.name} was not built: cargo xtask test peers")
    return built


class Stand:
    """The server, with the folder that goes with it."""

    def __init__(self, hosts: int, machines: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="patchcore-vcenter-")
        words = ["-host", str(hosts), "-vm", str(machines), "-user", USER, "-pass", PASSWORD]
        self._child = subprocess.Popen(
            [program(), *words, "-ca", Path(self._folder.name) / "ca.pem"],
            env={**os.environ, "TMPDIR": self._folder.name},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._child.stdout is not None
        self.ready: dict[str, str] = json.loads(self._child.stdout.readline())

    @property
    def server(self) -> str:
        """Its host and port."""
        return self.ready["sdk"].removeprefix("https://").removesuffix("/sdk")

    @property
    def ca(self) -> str:
        """The file of the authority that signed its certificate."""
        return self.ready["ca"]

    def tell(self, path: str, what: dict[str, Any]) -> None:
        """What is so from now on."""
        asked = urllib.request.Request(self.ready["control"] + path, json.dumps(what).encode())
        with urllib.request.urlopen(asked):
            pass

    def ask(self, path: str) -> Any:
        """What it says of itself."""
        with urllib.request.urlopen(self.ready["control"] + path) as answer:
            return json.load(answer)

    def furnish(self, task_ms: int) -> None:
        """A rule, HA that keeps room for one host, a new image, and tasks that take their time."""
        apart = {"name servers": APART}
        self.tell("cluster", {"name": CLUSTER, "apart": apart, "ha": "failures", "level": 1})
        self.tell("image", {"cluster": CLUSTER, "version": IMAGE, "compared": True})
        for method in ("*MaintenanceMode_Task", "RelocateVM_Task", "vlcm.*"):
            self.tell("rules", {"method": method, "task_ms": task_ms})

    def plant_trouble(self) -> None:
        """What one meets in estates."""
        self.tell("machine", {"name": "DC0_C0-vm0003", "pci": "PCI device 0"})
        around = {"host": "DC0_C0_H0", "dns": ["10.0.0.2", "10.0.0.3"], "domain": "example.org"}
        self.tell("around", {**around, "paths": [["active", "dead"], ["active", "active"]]})
        old = {"machine": "DC0_C0-vm0001", "hours": [500]}
        self.tell("snapshots", {**old, "address": "10.0.0.2", "guest": "dns-1.example.org"})
        self.tell("scheduled", {"name": "nightly", "enabled": True, "calls": "RebootGuest"})

    def faults(self) -> list[str]:
        """What must not be: hosts, machines and settings as they are, and what was ever seen."""
        truth, seen = self.ask("truth"), self.ask("violations")
        hosts, vms = truth["hosts"], truth["vms"]
        found = [f"{host} is {at}" for host, at in hosts.items() if not _is_rolled(at)]
        found += [f"{vm} is {at['power']}" for vm, at in vms.items() if at["power"] != "poweredOn"]
        if vms[APART[0]]["host"] == vms[APART[1]]["host"]:
            found.append(f"{APART[0]} and {APART[1]} share {vms[APART[0]]['host']}")
        before = {"drs": "fullyAutomated", "overrides": True, "drs_on": True, "ha_on": True, "admission": True}
        if truth["clusters"][CLUSTER] != before:
            found.append(f"the cluster is set to {truth['clusters'][CLUSTER]}")
        return found + [str(violation) for violation in seen]

    def close(self) -> None:
        """It holds nothing but its folder."""
        self._child.kill()
        self._child.communicate()
        self._folder.cleanup()

    def __enter__(self) -> Stand:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_rolled(host: dict[str, Any]) -> bool:
    """It runs the new build, was restarted once, and takes machines again."""
    want = {"build": BUILD, "boots": 1, "maintenance": False, "responds": True}
    return {key: host[key] for key in want} == want
