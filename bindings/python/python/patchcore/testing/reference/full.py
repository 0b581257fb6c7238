"""The full way: keyed jobs that outlive their caller, the locks of the machines, and a pager that can be silenced."""

from __future__ import annotations

from collections.abc import Sequence

from ... import provider as p
from ...exceptions import Busy, Error, NotFound, ProviderFault, TargetError, Unsupported
from .silence import Alerts
from .world import JOB, MEMORY, Machine, World, drift, patches, sightings


class Provider:
    """The full way. What it knows is the way to its machines, and nothing that would be lost with it."""

    name = "reference"
    version = "1.0.0"

    def __init__(self, world: World, password: str) -> None:
        self._world, self._password = world, password

    def __repr__(self) -> str:
        return "<reference provider>"

    def ports(self) -> p.Ports:
        return p.Ports(
            inventory=self,
            source=self,
            deployer=self,
            probe=self,
            lock=self,
            bracket=Alerts(self._world.silences),
        )

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
        try:
            for name in op.request.subjects:
                self._world.locks.admits(name, ctx)
        except Error as refusal:
            return p.Refused.by(refusal)
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
        self._world.locks.seen(op.request.subjects, ctx)
        job = self._world.job(op.token)
        if job is None:
            return p.NotFound()
        return job.settled or p.Running(p.Handle(1, {"job": op.token}))

    async def observe(
        self, ctx: p.Context, op: p.Op[p.DeployRequest], handle: p.Handle
    ) -> p.Observed:
        self._world.locks.seen(op.request.subjects, ctx)
        token = handle.read(1)["job"]
        job = self._world.job(token)
        if job is None:
            return p.Lost(f"there is no job {token}")
        return job.settled or p.Working(JOB / 3, p.Progress(message="at work"))

    def take(self, ctx: p.Context, component: str, claim: p.Claim) -> p.Taken:
        self._world.machine(component)
        return self._world.locks.take(component, claim, ctx.now())

    def give_back(self, ctx: p.Context, component: str, fence: int) -> None:
        self._world.locks.give_back(component, fence)

    def look(self, ctx: p.Context, component: str) -> p.Held | None:
        return self._world.locks.look(component, ctx.now())

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
