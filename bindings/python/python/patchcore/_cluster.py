"""A cluster as the roll planner sees it. All numbers are integers; an amount that nobody knows is None, and refused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

from . import _native
from ._decode import convert, thaw
from ._wire import Value, variant
from .words import _Word


class HostState(_Word):
    """Whether a host takes machines now."""

    OPEN = "open"
    CLOSED = "closed"
    DOWN = "down"


class MobilityKind(_Word):
    """How a machine that can move leaves its host: while it runs, or stopped and started."""

    LIVE = "live"
    COLD = "cold"


class NonMigratable(_Word):
    """What is done about a machine that cannot move."""

    SHUTDOWN_RESTART = "shutdown_restart"
    SUSPEND = "suspend"
    SKIP_HOST = "skip_host"
    STORAGE_MIGRATE = "storage_migrate"
    ASK_OWNER = "ask_owner"


class Level(_Word):
    """How far apart or how near."""

    HOST = "host"
    RACK = "rack"
    SITE = "site"


@dataclass(frozen=True)
class PatchTime(Value):
    """How long a host is gone, in seconds: patch, restart and verification together."""

    p50_s: int
    p95_s: int


@dataclass(frozen=True)
class Migration(Value):
    """What a host can move at once, and what one move copies in a second."""

    in_slots: int
    out_slots: int
    mib_per_s: int


@dataclass(frozen=True)
class Costs(Value):
    """What moves and restarts cost beside their bytes."""

    overhead_permille: int = 1100
    """What a live move copies, in thousandths of the machine's memory."""
    fixed_ms: int = 8000
    p95_permille: int = 1500
    """How long a move or a restart takes in 95 % of the cases, in thousandths of the usual."""
    stop_s: int = 60
    start_s: int = 60


def _tuples(value: Any, *names: str) -> None:
    for name in names:
        object.__setattr__(value, name, tuple(getattr(value, name)))


@dataclass(frozen=True)
class Host(Value):
    """A machine that runs virtual machines."""

    id: str
    capacity: tuple[int | None, ...]
    """What it has of each resource."""
    reserve: tuple[int | None, ...] = ()
    """What of that is not for virtual machines; empty means nothing."""
    needs_patch: bool = True
    state: HostState = HostState.OPEN
    rack: str | None = None
    site: str | None = None
    cpu_level: int = 0
    cpu_level_patched: int | None = None
    """Its CPU's level once it is patched, where that differs."""
    patch_time: PatchTime | None = None
    migration: Migration | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            id: str,
            capacity: Iterable[int | None],
            reserve: Iterable[int | None] = (),
            needs_patch: bool = True,
            state: HostState | str = HostState.OPEN,
            rack: str | None = None,
            site: str | None = None,
            cpu_level: int = 0,
            cpu_level_patched: int | None = None,
            patch_time: PatchTime | None = None,
            migration: Migration | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", HostState(self.state))
        _tuples(self, "capacity", "reserve")


@variant("pinned")
@dataclass(frozen=True)
class Pin(Value):
    """Why a machine stays, and what is done about it."""

    reason: str
    policy: NonMigratable | None = None

    if TYPE_CHECKING:

        def __init__(self, reason: str, policy: NonMigratable | str | None = None) -> None: ...

    def __post_init__(self) -> None:
        if self.policy is not None:
            object.__setattr__(self, "policy", NonMigratable(self.policy))


Mobility = Union[MobilityKind, Pin]
"""How a machine can leave its host."""


@dataclass(frozen=True)
class Vm(Value):
    """A virtual machine that runs."""

    id: str
    host: str
    demand: tuple[int | None, ...]
    """What it takes of each resource, at both ends while it moves."""
    mem_mib: int | None = field(metadata={"always": True})
    """Memory that a live move copies."""
    disk_mib: int = 0
    """Disk on its own host, which a move with storage copies as well."""
    mobility: Mobility = MobilityKind.LIVE
    cpu_level: int | None = None
    priority: int = 0
    ends_in_s: int | None = None
    """It ends by itself, at the latest so many seconds after the roll begins."""
    owner: str | None = None
    notice_s: int = 0
    bracket: str | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            id: str,
            host: str,
            demand: Iterable[int | None],
            mem_mib: int | None,
            disk_mib: int = 0,
            mobility: Mobility | str = MobilityKind.LIVE,
            cpu_level: int | None = None,
            priority: int = 0,
            ends_in_s: int | None = None,
            owner: str | None = None,
            notice_s: int = 0,
            bracket: str | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        if not isinstance(self.mobility, Pin):
            object.__setattr__(self, "mobility", MobilityKind(self.mobility))
        _tuples(self, "demand")


@variant("anti_affinity")
@dataclass(frozen=True)
class AntiAffinity(Value):
    """At most ``max_per`` of the machines in one place at every instant."""

    vms: tuple[str, ...]
    level: Level = Level.HOST
    max_per: int = 1
    soft: int | None = None
    """What breaking it costs, where it may be broken."""


@variant("affinity")
@dataclass(frozen=True)
class Affinity(Value):
    """The machines are in one place, and move from one to the next together."""

    vms: tuple[str, ...]
    level: Level = Level.HOST
    soft: int | None = None


@variant("fence")
@dataclass(frozen=True)
class Fence(Value):
    """The machines run on these hosts and no others."""

    vms: tuple[str, ...]
    hosts: tuple[str, ...]


@variant("avoid")
@dataclass(frozen=True)
class Avoid(Value):
    """The machines never run on these hosts."""

    vms: tuple[str, ...]
    hosts: tuple[str, ...]


@variant("keep_up")
@dataclass(frozen=True)
class KeepUp(Value):
    """At least ``keep`` of the machines are neither moving nor stopped."""

    vms: tuple[str, ...]
    keep: int


@variant("order")
@dataclass(frozen=True)
class Order(Value):
    """Every host of ``before`` is patched and open again before one of ``after`` closes."""

    before: tuple[str, ...]
    after: tuple[str, ...]


@variant("exclusive")
@dataclass(frozen=True)
class Exclusive(Value):
    """Never are two of these hosts closed at once."""

    hosts: tuple[str, ...]


Rule = Union[AntiAffinity, Affinity, Fence, Avoid, KeepUp, Order, Exclusive]
"""What must hold between machines and hosts."""


@variant("none")
@dataclass(frozen=True)
class NoReserve(Value):
    """Nothing is kept free."""


@variant("failures", bare=True)
@dataclass(frozen=True)
class Failures(Value):
    """All demand fits on the open hosts without so many of the largest."""

    hosts: int


@variant("percent", bare=True)
@dataclass(frozen=True)
class Percent(Value):
    """So many per cent of what the open hosts have stay free."""

    percent: int


@variant("dedicated")
@dataclass(frozen=True)
class Dedicated(Value):
    """Hosts that take no machine, of which so many are open at every instant."""

    hosts: tuple[str, ...]
    keep: int


Ha = Union[NoReserve, Failures, Percent, Dedicated]
"""What is kept free for hosts that fail, at each close."""


@dataclass(frozen=True)
class RollWindow(Value):
    """A span in which hosts may be touched, in seconds from when the roll begins."""

    from_s: int
    until_s: int


@dataclass(frozen=True)
class Limits(Value):
    """How much may be down, and what is kept free."""

    max_hosts_down: int | None = None
    max_down_per_rack: int | None = None
    max_down_per_site: int | None = None
    ha: Ha = Failures(1)
    fill_cap_percent: int = 100
    max_migrations: int | None = None
    windows: tuple[RollWindow, ...] = ()


_SCHEMA = "patchcore.cluster/1"


@dataclass(frozen=True, repr=False)
class Cluster(Value):
    """Everything that a roll is planned from."""

    resources: tuple[str, ...]
    """What each amount is of, such as ``memory_mib`` and ``vcpu``."""
    hosts: tuple[Host, ...]
    vms: tuple[Vm, ...]
    rules: tuple[Rule, ...] = ()
    limits: Limits = Limits()
    patch_time: PatchTime | None = None
    """How long a host takes that does not say it itself."""
    migration: Migration | None = None
    """What a host can move at once that does not say it itself."""
    costs: Costs = Costs()
    non_migratable: NonMigratable | None = None
    """What is done about a pinned machine that does not say it itself."""
    schema: str = _SCHEMA

    if TYPE_CHECKING:

        def __init__(
            self,
            resources: Iterable[str],
            hosts: Iterable[Host],
            vms: Iterable[Vm],
            rules: Iterable[Rule] = (),
            limits: Limits = ...,
            patch_time: PatchTime | None = None,
            migration: Migration | None = None,
            costs: Costs = ...,
            non_migratable: NonMigratable | str | None = None,
            schema: str = _SCHEMA,
        ) -> None: ...

    def __post_init__(self) -> None:
        _tuples(self, "resources", "hosts", "vms", "rules")
        if self.non_migratable is not None:
            object.__setattr__(self, "non_migratable", NonMigratable(self.non_migratable))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Cluster:
        """Read it from a JSON file. All its mistakes are answered at once."""
        with open(path, encoding="utf-8") as file:
            return cls.from_json(file.read())

    @classmethod
    def from_json(cls, text: str) -> Cluster:
        """Read it from JSON. All its mistakes are answered at once, each with its place."""
        _native.check_cluster(text)
        read: Cluster = convert(cls, json.loads(text))
        return read

    @classmethod
    def from_dict(cls, data: Any) -> Cluster:
        """Read it from plain data."""
        return cls.from_json(json.dumps(thaw(data)))

    def to_json(self) -> str:
        """The same as text."""
        return json.dumps(self.to_dict())

    def for_plan(self, plan: _native.Plan) -> Cluster:
        """As a plan patches it.

        The hosts in the plan need the patch and no others do, and no more of them are down at once than their ring
        lets go, nor than the cluster allows by itself.
        """
        return convert(Cluster, json.loads(_native.cluster_for_plan(self.to_json(), plan)))  # type: ignore[no-any-return]

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """The JSON Schema of ``to_dict``."""
        schema: dict[str, Any] = json.loads(_native.roll_schemas())["Cluster"]
        return schema

    def __repr__(self) -> str:
        return f"<Cluster of {len(self.hosts)} hosts and {len(self.vms)} machines>"
