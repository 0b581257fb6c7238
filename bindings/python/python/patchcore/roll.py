"""The roll of a whole cluster: which hosts go down when, and where every machine goes.

``plan_roll(cluster)`` gives a :class:`RollPlan`, or raises :class:`NoRoll` with the proof and what would help. Nothing
here touches a machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Union

from . import _native
from ._calls import wait
from ._cluster import (
    Affinity,
    AntiAffinity,
    Avoid,
    Cluster,
    Costs,
    Dedicated,
    Exclusive,
    Failures,
    Fence,
    Ha,
    Host,
    HostState,
    KeepUp,
    Level,
    Limits,
    Migration,
    Mobility,
    MobilityKind,
    NoReserve,
    NonMigratable,
    Order,
    PatchTime,
    Percent,
    Pin,
    RollWindow,
    Rule,
    Vm,
)
from ._decode import convert, thaw
from ._roll_steps import (
    Action,
    Ahead,
    AwaitEnd,
    Balance,
    Bounds,
    CanBeEmptied,
    Close,
    Figures,
    Follows,
    HostDown,
    HostLeftOut,
    How,
    IntoPatched,
    MakesRoom,
    Migrate,
    NobodyDecides,
    NotEmptied,
    Patch,
    Pinned,
    PlanStep,
    Reason,
    Reopen,
    SkipHost,
    Spill,
    Start,
    Stop,
    WhyNotRolled,
)
from ._roll_proofs import (
    AddHost,
    AggregateCapacity,
    ByRule,
    Certificate,
    DomainLimit,
    GivePolicy,
    GroupTooLarge,
    HostUnevacuable,
    KeptForFailures,
    LeaveOut,
    LesserCpu,
    NeverTakes,
    NotOpen,
    PinnedNoPolicy,
    Relaxation,
    Set,
    StopVms,
    TooSmall,
    WhyNever,
    WindowTooShort,
)
from ._wire import Value, encode, variant
from .exceptions import InvalidInput, Unsupported
from .words import _Word

__all__ = [
    "Action",
    "AddHost",
    "Affinity",
    "AggregateCapacity",
    "Ahead",
    "AntiAffinity",
    "Avoid",
    "AwaitEnd",
    "Balance",
    "Bounds",
    "ByRule",
    "CanBeEmptied",
    "Certificate",
    "Close",
    "Cluster",
    "ClusterRoll",
    "ClusterSetting",
    "Costs",
    "Dedicated",
    "DomainLimit",
    "Exclusive",
    "Failures",
    "Fence",
    "Figures",
    "Follows",
    "GivePolicy",
    "GroupTooLarge",
    "Ha",
    "Host",
    "HostDown",
    "HostLeftOut",
    "HostState",
    "HostUnevacuable",
    "How",
    "Infeasible",
    "IntoPatched",
    "KeepUp",
    "KeptForFailures",
    "LeaveOut",
    "LesserCpu",
    "Level",
    "Limits",
    "MakesRoom",
    "Migrate",
    "Migration",
    "Mobility",
    "MobilityKind",
    "NeverTakes",
    "NoReserve",
    "NoRoll",
    "NobodyDecides",
    "NonMigratable",
    "NotEmptied",
    "NotOpen",
    "NotPlanned",
    "Objective",
    "Order",
    "Patch",
    "PatchTime",
    "Percent",
    "Pin",
    "Pinned",
    "PinnedNoPolicy",
    "PlanStep",
    "Reason",
    "Relaxation",
    "Reopen",
    "RollPlan",
    "RollWindow",
    "Rule",
    "Set",
    "SkipHost",
    "Spill",
    "Start",
    "Stop",
    "StopVms",
    "TooSmall",
    "Vm",
    "Weighted",
    "WhyNever",
    "WhyNotRolled",
    "WindowTooShort",
    "async_plan_roll",
    "async_what_if",
    "plan_roll",
    "what_if",
]


class ClusterSetting(_Word):
    """What a cluster does by itself that a roll can hold and give back."""

    PLACEMENT = "placement"
    """It moves machines from host to host."""
    ADMISSION = "admission"
    """It refuses to start machines where its reserve for failures would be touched."""


class Objective(_Word):
    """What a roll is to be good at."""

    FEWEST_MOVES = "fewest_moves"
    BALANCED = "balanced"
    FASTEST = "fastest"
    KNEE = "knee"


@variant("weighted")
@dataclass(frozen=True)
class Weighted(Value):
    """The least cost, of so much for each TiB that is copied and for each hour."""

    per_tib: int
    per_hour: int


class NoRoll(Unsupported):
    """There is no roll of every host, or none was found."""


class Infeasible(NoRoll):
    """No roll patches every host, proven by arithmetic."""

    certificate: Certificate
    """The proof."""
    relaxations: tuple[Relaxation, ...]
    """What would make it void, the smallest change first."""

    def __init__(self, text: str = "", *, infeasible: Mapping[str, Any] | None = None, **parts: Any) -> None:
        super().__init__(text, **parts)
        self._plain = dict(infeasible or {})
        if infeasible is not None:
            self.certificate = convert(Certificate, infeasible["certificate"])
            self.relaxations = convert(tuple[Relaxation, ...], infeasible["relaxations"])

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (Infeasible, self.args[0], "infeasible", self._plain)


class NotPlanned(NoRoll):
    """No roll was found, which does not say that there is none, unless ``exhausted`` does."""

    patched: int
    """The most hosts that an attempt could patch."""
    left: tuple[str, ...]
    """Hosts that it could not empty."""
    exhausted: bool
    """Whether every way was looked at, one move after the other."""

    def __init__(self, text: str = "", *, not_found: Mapping[str, Any] | None = None, **parts: Any) -> None:
        super().__init__(text, **parts)
        self._plain = dict(not_found or {})
        if not_found is not None:
            self.patched = not_found["patched"]
            self.left = tuple(not_found["left"])
            self.exhausted = not_found["exhausted"]

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (NotPlanned, self.args[0], "not_found", self._plain)


def _again(cls: Any, text: str, key: str, plain: Mapping[str, Any]) -> NoRoll:
    raised: NoRoll = cls(text, **{key: plain})
    return raised


class RollPlan:
    """A planned roll with its cluster. ``str`` of it is the plan for people; a notebook draws its picture."""

    __slots__ = ("_data", "_native", "_text")

    def __init__(self, native: _native.RollPlan) -> None:
        self._native = native
        self._text: str | None = None
        self._data: dict[str, Any] = {}

    @classmethod
    def from_json(cls, text: str) -> RollPlan:
        """Read the stored form. The steps are checked against the cluster again, and all figures worked out anew."""
        return cls(_native.RollPlan.from_json(text))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RollPlan:
        """Read it from plain data, in the same way."""
        return cls.from_json(json.dumps(thaw(data)))

    def to_json(self) -> str:
        """The stored form: every step, and everything else too."""
        if self._text is None:
            self._text = self._native.to_json()
        return self._text

    def to_dict(self) -> dict[str, Any]:
        """Plain data that ``from_dict`` reads."""
        plain: dict[str, Any] = json.loads(self.to_json())
        return plain

    def _part(self, name: str, hint: Any) -> Any:
        if name not in self._data:
            if "" not in self._data:
                self._data[""] = self.to_dict()
            self._data[name] = convert(hint, self._data[""].get(name, []))
        return self._data[name]

    @property
    def cluster(self) -> Cluster:
        """The cluster that it was planned from."""
        cluster: Cluster = self._part("cluster", Cluster)
        return cluster

    @property
    def objective(self) -> Objective | Weighted:
        """What it is good at."""
        objective: Objective | Weighted = self._part("objective", Union[Objective, Weighted])
        return objective

    @property
    def figures(self) -> Figures:
        """What it costs, as the checker worked it out."""
        figures: Figures = self._part("figures", Figures)
        return figures

    @property
    def bounds(self) -> Bounds:
        """What no roll of this cluster can beat."""
        bounds: Bounds = self._part("bounds", Bounds)
        return bounds

    @property
    def gap_permille(self) -> tuple[int, int, int]:
        """By how much it misses the bounds, in thousandths: bytes, moves, makespan."""
        gap: tuple[int, int, int] = self._part("gap_permille", tuple[int, ...])
        return gap

    @property
    def makespan(self) -> timedelta:
        """How long it takes at the usual pace."""
        return timedelta(milliseconds=self.figures.makespan_ms)

    @property
    def steps(self) -> tuple[PlanStep, ...]:
        """Every step with its time and its reason."""
        steps: tuple[PlanStep, ...] = self._part("steps", tuple[PlanStep, ...])
        return steps

    @property
    def left_out(self) -> tuple[HostLeftOut, ...]:
        """Hosts that need the patch and do not get it, each with its reason."""
        left_out: tuple[HostLeftOut, ...] = self._part("left_out", tuple[HostLeftOut, ...])
        return left_out

    @property
    def others(self) -> tuple[Figures, ...]:
        """What other rolls cost that are better at something else, the fewest bytes first."""
        others: tuple[Figures, ...] = self._part("others", tuple[Figures, ...])
        return others

    def svg(self) -> str:
        """When which host is down, what moves where, and what is free, as a picture for light and dark pages."""
        return self._native.svg()

    def _repr_svg_(self) -> str:
        return self.svg()

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """The JSON Schema of ``to_dict``."""
        schema: dict[str, Any] = json.loads(_native.roll_schemas())["RollPlan"]
        return schema

    def __str__(self) -> str:
        return self._native.text()

    def __repr__(self) -> str:
        hosts, moves, seconds = self._native.short()
        return f"<RollPlan of {hosts} hosts, {moves} moves, {timedelta(seconds=seconds)}>"

    def __eq__(self, other: object) -> bool:
        return self.to_json() == other.to_json() if isinstance(other, RollPlan) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __reduce__(self) -> tuple[Any, ...]:
        return RollPlan.from_json, (self.to_json(),)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from . import _pydantic

        return _pydantic.schema(cls)


@dataclass(frozen=True)
class ClusterRoll:
    """A planned roll, to be carried out by ``Estate.run_rolling``."""

    name: str
    """Whose roll it is: the name of the cluster in the estate."""
    by: str
    """The provider that moves its machines."""
    plan: RollPlan
    """What was planned. Its objective holds also where it must be planned anew."""
    holding: tuple[ClusterSetting, ...] = (ClusterSetting.PLACEMENT,)
    """What is held while it runs."""

    @classmethod
    def of(
        cls,
        cluster: _native.VsphereCluster,
        plan: RollPlan,
        *,
        holding: Iterable[ClusterSetting | str] = tuple(ClusterSetting),
    ) -> ClusterRoll:
        """Of a cluster of a vCenter, with all settings held that it has."""
        return cls(cluster.name, cluster.provider, plan, tuple(map(ClusterSetting, holding)))

    def _handed_over(self) -> tuple[str, str, _native.RollPlan, list[str]]:
        return self.name, self.by, self.plan._native, [str(setting) for setting in self.holding]


def _asked(
    objective: Objective | Weighted | str, allow_partial: bool, attempts: int | None, effort: int | None
) -> str:
    if not isinstance(objective, Weighted):
        try:
            objective = Objective(objective)
        except ValueError:
            raise InvalidInput(
                "this objective is not known",
                expected=f"{', '.join(Objective)} or Weighted(per_tib, per_hour)",
                found=repr(objective),
            ) from None
    asked = {"objective": encode(objective), "allow_partial": allow_partial}
    return json.dumps({**asked, "attempts": attempts, "effort": effort})


def _plain(cluster: Cluster | Mapping[str, Any]) -> str:
    return cluster.to_json() if isinstance(cluster, Cluster) else json.dumps(thaw(cluster))


def plan_roll(
    cluster: Cluster | Mapping[str, Any],
    objective: Objective | Weighted | str = Objective.KNEE,
    *,
    allow_partial: bool = False,
    attempts: int | None = None,
    effort: int | None = None,
) -> RollPlan:
    """Plan the roll of a cluster; plain data is as good as a :class:`Cluster`.

    The same cluster gives the same roll. Ctrl-C ends the search. A cluster that is faulty raises
    :class:`~patchcore.exceptions.InvalidInput` with all its mistakes, one without a roll :class:`NoRoll`. With
    ``allow_partial`` hosts may be left out that cannot be emptied, each with its reason.
    """
    call = _native.plan_roll(_plain(cluster), _asked(objective, allow_partial, attempts, effort))
    return _planned(call.wait())


async def async_plan_roll(
    cluster: Cluster | Mapping[str, Any],
    objective: Objective | Weighted | str = Objective.KNEE,
    *,
    allow_partial: bool = False,
    attempts: int | None = None,
    effort: int | None = None,
) -> RollPlan:
    """``plan_roll`` for programs with an event loop, which goes on meanwhile; cancelling it ends the search."""
    call = _native.plan_roll(_plain(cluster), _asked(objective, allow_partial, attempts, effort))
    return _planned(await wait(call))


def _planned(planned: Any) -> RollPlan:
    if isinstance(planned, _native.RollPlan):
        return RollPlan(planned)
    text, body = planned
    why = json.loads(body)
    if "infeasible" in why:
        raise Infeasible(text, infeasible=why["infeasible"])
    raise NotPlanned(text, not_found=why["not_found"])


def what_if(
    cluster: Cluster | Mapping[str, Any],
    change: str,
    objective: Objective | Weighted | str = Objective.KNEE,
    *,
    allow_partial: bool = False,
) -> str:
    """What would be with ``one host fewer``, ``without HOST``, ``one more down`` or ``pin VM``, in a few lines."""
    call = _native.roll_what_if(_plain(cluster), _asked(objective, allow_partial, None, None), change)
    said: str = call.wait()
    return said


async def async_what_if(
    cluster: Cluster | Mapping[str, Any],
    change: str,
    objective: Objective | Weighted | str = Objective.KNEE,
    *,
    allow_partial: bool = False,
) -> str:
    """``what_if`` for programs with an event loop."""
    said: str = await wait(_native.roll_what_if(_plain(cluster), _asked(objective, allow_partial, None, None), change))
    return said
