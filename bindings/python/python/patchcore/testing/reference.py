"""A correct provider over machines in memory, in virtual time: to read, and for planting faults.

:class:`Full` is the full way, keyed jobs that outlive their caller; :class:`Short` is the short way over the same
machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .. import VirtualClock
from .. import provider as p
from ..exceptions import Busy, Error, NotFound, PlanDrift, ProviderFault, TargetError, Unsupported
from ..provider import Change, PatchChange
from .._provider import SimpleProvider
from ..values import Component, Identity, Installed, Patch
from . import BadChange, ProbeCase, Seen, Stock, TroubleKind

JOB = timedelta(seconds=90)
"""How long every job takes: longer than one observation, so that there is something to wait for."""
MEMORY = timedelta(days=30)
START = "2025-06-15T15:06:40Z"
PASSWORD = "correct-horse-battery"


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


class Provider:
    """The full way. What it knows is the way to its machines, and nothing that would be lost with it."""

    name = "reference"
    version = "1.0.0"

    def __init__(self, world: World, password: str) -> None:
        self._world, self._password = world, password

    def __repr__(self) -> str:
        return "<reference provider>"

    def ports(self) -> p.Ports:
        return p.Ports(inventory=self, source=self, deployer=self, probe=self)

    async def listing(self, ctx: p.Context) -> p.Listing:
        return p.Listing(tuple(sightings(self._world)))

    async def available(
        self, ctx: p.Context, components: Sequence[str]
    ) -> dict[str, p.Available | Error]:
        answers: dict[str, p.Available | Error] = {}
        for name in components:
            try:
                answers[name] = p.Available(ctx.now(), patches(self._world.machine(name)))
            except Error as error:
                answers[name] = error
        return answers

    def kinds(self) -> list[str]:
        return ["command"]

    async def probe(self, ctx: p.Context, request: p.ProbeRequest) -> p.ProbeAnswer:
        if not isinstance(request.kind, p.Command):
            raise Unsupported("no check of this kind")
        self._world.machine(request.component)
        program, *rest = request.kind.argv
        if program != "is-active":
            raise TargetError(f"there is no program {program} on {request.component}", kind="io")
        is_active = rest == ["web"]
        verdict = p.ProbeVerdict.HEALTHY if is_active else p.ProbeVerdict.UNHEALTHY
        return p.ProbeAnswer(verdict, f"{rest[0]} {'active' if is_active else 'inactive'}")

    def capabilities(self) -> p.DeployerCapabilities:
        return p.DeployerCapabilities(refresh=True, stage=True, reboot=True, roll_back=True)

    def scan(self, ctx: p.Context, components: Sequence[str]) -> dict[str, p.Scan | Error]:
        answers: dict[str, p.Scan | Error] = {}
        for name in components:
            try:
                machine = self._world.machine(name)
            except Error as error:
                answers[name] = error
                continue
            answers[name] = p.Scan(
                ctx.now(),
                dict(machine.installed),
                dict(machine.pending),
                boot_id=f"boot-{machine.boots}",
                reboot_wanted=tuple(machine.pending),
                running_old=(),
                way_back=p.WayBack(p.WayBackKind.OLD_PACKAGES),
            )
        return answers

    def guarantee(self, op: p.Op[p.DeployRequest]) -> p.Guarantee:
        return p.Keyed(MEMORY)

    def undo(self, op: p.Op[p.DeployRequest]) -> p.Undo[p.DeployRequest]:
        request = op.request
        if isinstance(request, p.Apply):
            back = tuple(change.reversed() for change in request.changes)
            return p.UndoBy(p.RollBack(back, request.staged))
        if isinstance(request, p.Stage):
            return p.UndoBy(p.Discard(request.subjects, op.key))
        if isinstance(request, p.RollBack):
            return p.UndoUnavailable("a roll-back is itself the way back")
        return p.NothingToUndo()

    async def prepare(self, ctx: p.Context, request: p.DeployRequest) -> p.Prepared:
        before: dict[str, dict[str, str]] = {}
        subjects: dict[str, p.Readiness] = {}
        for name in request.subjects:
            try:
                machine = self._world.machine(name)
            except Error as error:
                subjects[name] = p.Blocked.by(error)
                continue
            before[name] = dict(machine.installed)
            if self._holds(machine, name, request):
                subjects[name] = p.AlreadyHolds(p.Evidence("it is so already", ctx.now()))
            else:
                obstacles = self._obstacles(machine, name, request)
                subjects[name] = p.Blocked.by(*obstacles) if obstacles else p.Ready()
        return p.Prepared(p.Baseline(1, before), subjects)

    async def begin(self, ctx: p.Context, op: p.Op[p.DeployRequest]) -> p.Begun:
        # The name of the job comes from the key alone, so that a new process finds it again.
        token = op.token
        job = self._world.job(token)
        if job is not None:
            if job.request != op.request:
                return p.Refused.by(ProviderFault(f"{op.key} stands for other work"))
            return job.settled or p.Started(p.Handle(1, {"job": token}))
        try:
            ctx.check()
            for name in op.request.subjects:
                for obstacle in self._obstacles(self._world.machine(name), name, op.request):
                    raise obstacle
        except Error as refusal:
            return p.Refused.by(refusal)
        self._world.start(token, op)
        return p.Started(p.Handle(1, {"job": token}))

    async def locate(self, ctx: p.Context, op: p.Op[p.DeployRequest]) -> p.Located:
        job = self._world.job(op.token)
        if job is None:
            return p.NotFound()
        return job.settled or p.Running(p.Handle(1, {"job": op.token}))

    async def observe(
        self, ctx: p.Context, op: p.Op[p.DeployRequest], handle: p.Handle
    ) -> p.Observed:
        token = handle.read(1)["job"]
        job = self._world.job(token)
        if job is None:
            return p.Lost(f"there is no job {token}")
        return job.settled or p.Working(JOB / 3, p.Progress(message="at work"))

    def _holds(self, machine: Machine, name: str, request: p.DeployRequest) -> bool:
        if isinstance(request, p.Discard):
            return request.staged not in machine.kept
        if not isinstance(request, (p.Apply, p.RollBack)):
            return False
        mine = [patch for change in request.changes if change.component == name for patch in change.patches]
        return all(machine.installed.get(patch.patch) == patch.version for patch in mine)

    def _obstacles(self, machine: Machine, name: str, request: p.DeployRequest) -> list[Error]:
        """Why it cannot begin now; all reasons at once."""
        found: list[Error] = []
        if machine.locked:
            found.append(
                Busy(
                    f"{name}: the package tool is locked by another-tool (pid 7)",
                    hint="wait until it is done",
                    retryable=True,
                )
            )
        if isinstance(request, (p.Apply, p.RollBack)):
            for change in request.changes:
                if change.component == name:
                    found += drift(machine, change)
            if request.staged not in machine.kept:
                found.append(
                    NotFound(f"{name}: nothing was staged under {request.staged}", hint="stage it first")
                )
        return found


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


class ShortProvider(SimpleProvider):
    """The short way."""

    name = "reference-short"
    version = "1.0.0"
    quiet_after = timedelta(seconds=60)

    def __init__(self, world: World, password: str) -> None:
        self._world, self._password = world, password

    def __repr__(self) -> str:
        return "<reference provider, the short way>"

    async def components(self) -> list[Component]:
        return sightings(self._world)

    async def available(self, component: Component) -> tuple[Patch, ...]:
        return patches(self._world.machine(component.id))

    async def scan(self, component: Component) -> Installed:
        machine = self._world.machine(component.id)
        return Installed(dict(machine.installed), dict(machine.pending))

    async def apply(self, component: Component, patch: Patch) -> None:
        machine = self._world.machine(component.id)
        if machine.locked:
            raise Busy(f"{component.id} is locked", retryable=True)
        change = PatchChange(patch.id, patch.previous, patch.version)
        for error in drift(machine, Change(component.id, (change,))):
            raise error
        machine.put_in([change])


def _change(component: str, *changes: tuple[str, str, str]) -> Change:
    return Change(component, tuple(PatchChange(*change) for change in changes))


def _command(*argv: str) -> p.ProbeRequest:
    return p.ProbeRequest("m-1", p.Command(argv))


class Full:
    """The outside of the full way."""

    def __init__(self) -> None:
        self._world = World()
        self.clock = self._world.clock

    def stock(self) -> Stock:
        return Stock(
            [_change("m-1", ("libtls", "1.1", "1.2")), _change("m-2", ("libtls", "1.1", "1.2"))],
            "1.0",
            BadChange(_change("m-2", ("curl", "8", "9"), ("badpost", "1", "2")), "badpost"),
            after_restart=_change("m-3", ("firmware", "5", "6")),
            secret=PASSWORD,
            probes=[
                ProbeCase(_command("is-active", "web"), _command("is-active", "mail"), _command("no")),
            ],
        )

    def connect(self) -> p.Provider | SimpleProvider:
        return Provider(self._world, PASSWORD)

    def look(self, component: str) -> Seen:
        machine = self._world.machine(component)
        trace = [machine.writes, machine.catalogue, len(machine.kept), dict(machine.pending)]
        return Seen(dict(machine.installed), trace)

    def meddle(self, component: str, patch: str, version: str) -> None:
        machine = self._world.machine(component)
        machine.installed[patch] = version
        machine.writes += 1

    def trouble(self, kind: TroubleKind, component: str) -> bool:
        machine = self._world.machine(component)
        if kind is TroubleKind.TOOL_LIES:
            machine.tool_lies = True
        elif kind in (TroubleKind.LOCK_TAKEN, TroubleKind.LOCK_GIVEN_BACK):
            machine.locked = kind is TroubleKind.LOCK_TAKEN
        else:
            return False
        return True


class Short(Full):
    """The outside of the short way."""

    def connect(self) -> SimpleProvider:
        return ShortProvider(self._world, PASSWORD)
