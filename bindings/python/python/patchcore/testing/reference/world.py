"""Machines in memory with their jobs, in virtual time: the outside that the reference providers reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ... import VirtualClock
from ... import provider as p
from ...exceptions import Error, NotFound, PlanDrift, TargetError
from ...provider import Change, PatchChange
from ...values import Component, Identity, Patch
from .lock import Locks
from .silence import Silence

JOB = timedelta(seconds=90)
"""How long every job takes: longer than one observation, so that there is something to wait for."""
MEMORY = timedelta(days=30)
START = "2025-06-15T15:06:40Z"


@dataclass
class Machine:
    """One machine with a package tool."""

    installed: dict[str, str]
    offer: dict[str, list[str]]
    """Versions on offer, oldest first."""
    pending: dict[str, str] = field(default_factory=dict)
    waits_for_restart: frozenset[str] = frozenset()
    does_not_go_in: frozenset[str] = frozenset()
    kept: set[str] = field(default_factory=set)
    boots: int = 0
    writes: int = 0
    catalogue: int = 0
    locked: bool = False
    tool_lies: bool = False

    def put_in(self, patches: Sequence[PatchChange]) -> None:
        """Put patches in until one fails, and read back what is there."""
        for patch in () if self.tool_lies else patches:
            if patch.patch in self.does_not_go_in:
                raise TargetError(
                    f"the script of {patch.patch} failed", kind="install_failed", blames=[patch.patch]
                )
            there = self.pending if patch.patch in self.waits_for_restart else self.installed
            if patch.version is None:
                there.pop(patch.patch, None)
            else:
                there[patch.patch] = patch.version
            self.writes += 1
        for patch in patches:
            if patch.version not in (self.installed.get(patch.patch), self.pending.get(patch.patch)):
                raise TargetError(
                    f"the tool said that it was done, and {patch.patch} {patch.version} is not there",
                    kind="verify_failed",
                )


@dataclass
class Job:
    """Work that goes on without its caller."""

    key: str
    request: p.DeployRequest
    ends: datetime
    settled: p.Settled | None = None


class World:
    """Everything there is; jobs whose time has come are through."""

    def __init__(self) -> None:
        self.clock = VirtualClock(START)
        tls = ["1.0", "1.1", "1.2", "1.3"]
        self._machines = {
            "m-1": _machine(libtls=tls, zlib=["2", "3", "4"]),
            "m-2": _machine(libtls=tls, curl=["7", "8", "9"], badpost=["0", "1", "2"]),
            "m-3": _machine(firmware=["4", "5", "6"]),
        }
        self._machines["m-2"].does_not_go_in = frozenset({"badpost"})
        self._machines["m-3"].waits_for_restart = frozenset({"firmware"})
        self._jobs: dict[str, Job] = {}
        self.locks = Locks()
        self.silences: list[Silence] = []

    def _pass(self) -> None:
        now = self.clock.now()
        over = [job for job in self._jobs.values() if job.settled is None and job.ends <= now]
        for job in sorted(over, key=lambda job: job.ends):
            job.settled = self._end(job)

    @property
    def names(self) -> list[str]:
        """All machines."""
        return list(self._machines)

    def machine(self, name: str) -> Machine:
        """One machine as it is now."""
        self._pass()
        if name not in self._machines:
            raise NotFound(f"there is no machine {name}", hint="list the components again")
        return self._machines[name]

    def job(self, token: str) -> Job | None:
        """A job as it is now."""
        self._pass()
        return self._jobs.get(token)

    def start(self, token: str, op: p.Op[p.DeployRequest]) -> None:
        """Begin a job."""
        self._jobs[token] = Job(op.key, op.request, self.clock.now() + JOB)

    def _end(self, job: Job) -> p.Settled:
        results: dict[str, p.SubjectResult] = {}
        for name in job.request.subjects:
            try:
                saw = self._effect(self._machines[name], name, job)
                results[name] = p.Done(p.Evidence(saw, job.ends, claimed="exit 0"))
            except Error as error:
                results[name] = p.Failed.of(error)
        return p.Settled(results)

    def _effect(self, machine: Machine, name: str, job: Job) -> str:
        request = job.request
        if isinstance(request, (p.Apply, p.RollBack)):
            for change in request.changes:
                if change.component == name:
                    machine.put_in(change.patches)
            return "read back: everything at the planned version"
        if isinstance(request, p.Stage):
            machine.kept.add(job.key)
            return "everything needed is on the machine"
        if isinstance(request, p.Discard):
            machine.kept.discard(request.staged)
            return "nothing is kept"
        if isinstance(request, p.Reboot):
            machine.boots += 1
            machine.writes += 1
            machine.installed |= machine.pending
            machine.pending.clear()
            return "another boot identity"
        machine.catalogue += 1
        return "the catalogue is of now"


def _machine(**versions: list[str]) -> Machine:
    """The second version is there: an older one exists, and newer ones are on offer."""
    return Machine({patch: known[1] for patch, known in versions.items()}, versions)


def sightings(world: World) -> list[Component]:
    """Every machine, for both ways."""
    return [
        Component(
            name,
            labels={"tier": "web"},
            identities=[Identity("fqdn", f"{name}.example.org"), Identity("serial", f"sn-{name}")],
        )
        for name in world.names
    ]


def patches(machine: Machine) -> tuple[Patch, ...]:
    """What is on offer: every newer version."""
    return tuple(
        Patch(patch, version, machine.installed[patch], "security", "service_restart")
        for patch, known in machine.offer.items()
        for version in known[known.index(machine.installed[patch]) + 1 :]
    )


def drift(machine: Machine, change: Change) -> list[Error]:
    """Where another version is there than planned."""
    return [
        PlanDrift(
            f"{change.component}: {patch.patch} is not as planned",
            expected=patch.previous or "not installed",
            found=there or "not installed",
            hint="plan again and have the new plan approved",
        )
        for patch in change.patches
        if (there := machine.installed.get(patch.patch)) not in (patch.previous, patch.version)
    ]
