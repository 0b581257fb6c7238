"""The conformance suites for providers: what a provider claims is checked, each check a test of its own.

An author writes an outside (:class:`Fixture`): the provider, eyes that look past it, and a hand that meddles. Then one
line in a test file ::

    test_conformance = patchcore.testing.conformance(Outside)

or, without a file, ``PATCHCORE_OUTSIDE=my_tests:Outside pytest --pyargs patchcore.testing``. Each test is named after what it
demands, and a failure says what was seen and which fault it finds. What an outside cannot make is said and not run: the
more it can make, the more is proven. What another fault hides is not called good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .. import _native
from .._decode import Json, convert, freeze
from .._joined import Joined, Method
from .._wire import Value, encode
from ..provider import BracketKind, Change, Maybe, ProbeRequest, Provider
from .._provider import SimpleProvider
from ..words import TroubleKind

__all__ = [
    "BadChange",
    "Check",
    "Fixture",
    "NotConformant",
    "ProbeCase",
    "Seen",
    "Stock",
    "TroubleKind",
    "Verdict",
    "checks",
    "conformance",
    "run",
]


@dataclass(frozen=True)
class BadChange:
    """A change that fails, and the patch whose fault it is."""

    change: Change
    culprit: str


@dataclass(frozen=True)
class ProbeCase:
    """Three checks of one kind: one answers *healthy*, one *unhealthy*, and one cannot be run."""

    healthy: ProbeRequest
    unhealthy: ProbeRequest
    cannot_run: ProbeRequest


@dataclass(frozen=True)
class Stock:
    """What an outside holds for the checks."""

    changes: Sequence[Change]
    """One change per component, applicable now; at least two where the provider takes several components at once. The
    first patch of the first has a ``previous``, and its ``version`` is older than the newest on offer where the outside
    can hold more than one."""
    other: str
    """A version of the first patch of the first change that is neither there nor wanted; an older one is best."""
    bad: BadChange | None = None
    """A change whose last patch fails to go in, on the component of the last of ``changes``."""
    after_restart: Change | None = None
    """A change that goes in and does not run before a restart."""
    secret: str | None = None
    """What the provider was given as a secret, to be found nowhere."""
    probes: Sequence[ProbeCase] = ()


@dataclass(frozen=True)
class Seen(Value):
    """What is truly on a component."""

    versions: Mapping[str, str]
    """Versions that run, at least of every patch named in the stock."""
    trace: Any = None
    """Whatever only a change changes, such as a count of writes. It must not depend on the time."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "versions", Json(self.versions))
        object.__setattr__(self, "trace", freeze(self.trace))


class Fixture(Protocol):
    """One outside with a provider that reaches it. Every check gets a fresh one.

    ``look``, ``meddle`` and ``trouble`` go past the provider: what a provider says of itself proves nothing. All but
    ``stock`` and ``connect`` may be ``async def``. An outside in virtual time has a ``clock``, a
    :class:`patchcore.VirtualClock`; one that takes brackets has ``held``.
    """

    def stock(self) -> Stock:
        """What the outside holds for the checks."""
        ...

    def connect(self) -> Provider | SimpleProvider:
        """A provider that knows nothing but the outside, as in a new process. Called several times on one outside:
        every value after the first stands for a restart after a crash."""
        ...

    def look(self, component: str, /) -> Maybe[Seen]:
        """What is truly on a component, read past the provider."""
        ...

    def meddle(self, component: str, patch: str, version: str, /) -> Maybe[None]:
        """Somebody else puts a version of a patch in."""
        ...

    def trouble(self, kind: TroubleKind, component: str, /) -> Maybe[bool]:
        """Make trouble, and say whether that was possible."""
        ...


@dataclass(frozen=True)
class Check:
    """One check: its name is what it demands."""

    name: str
    port: str
    finds: str
    """The fault that it finds."""


@dataclass(frozen=True)
class Verdict:
    """What a check says of a provider."""

    word: str
    """``holds``, ``not_claimed``, ``not_offered``, ``fault``, ``unjudged`` or ``not_run``."""
    text: str

    @property
    def is_fine(self) -> bool:
        """Whether a provider may be used with it. What could not be judged is not proven."""
        return self.word in ("holds", "not_claimed", "not_offered")

    def __str__(self) -> str:
        return self.text


class NotConformant(AssertionError):
    """A provider breaks its contract, or it could not be judged."""


#: The suites by the port that they are about; operations come with their port.
PORTS = ("inventory", "source", "deployer", "probe", "lock", "bracket")


def checks(*ports: str) -> tuple[Check, ...]:
    """The checks of these ports, or of all."""
    unknown = sorted(set(ports) - set(PORTS))
    if unknown:
        raise ValueError(f"there is no suite {', '.join(unknown)}; there are {', '.join(PORTS)}")
    wanted = set(ports) | ({"operations"} if "deployer" in ports else set())
    # Of a port that no provider in Python offers yet, nothing could be asked.
    known = set(PORTS) | {"operations"}
    every = (Check(*check) for check in _native.conformance_checks())
    return tuple(check for check in every if check.port in (wanted if ports else known))


def offered(outside: Callable[[], Fixture]) -> tuple[str, ...]:
    """The ports that the provider of an outside offers; the suites of the others would say nothing."""
    provider = outside().connect()
    ports = getattr(provider, "ports", None)
    if ports is None:
        return ("inventory", "source", "deployer")
    found = ports()
    return tuple(name for name in PORTS if getattr(found, name) is not None)


def run(check: str, outside: Fixture) -> Verdict:
    """Run one check against a fresh outside."""
    joined = Joined(outside, {"fixture": outside}, {"fixture": _METHODS}, {})
    clock: _native.VirtualClock | None = getattr(outside, "clock", None)
    return Verdict(*_native.conformance_check(check, joined, clock).wait())


def demand(check: Check, outside: Callable[[], Fixture]) -> None:
    """Run one check as a test."""
    verdict = run(check.name, outside())
    if not verdict.is_fine:
        raise NotConformant(f"{check.name}\n   {verdict}\n   it finds: {check.finds}")
    if verdict.word != "holds":
        print(f"{check.name}: {verdict}")


def conformance(outside: Callable[[], Fixture], *ports: str) -> Callable[[Check], None]:
    """A test function for pytest that runs each check as a test of its own.

    ``outside`` makes a fresh one; it is called once for each check. Without ``ports``, those that the provider offers.
    """
    import pytest

    suite = checks(*(ports or offered(outside)))

    @pytest.mark.parametrize("check", [pytest.param(check, id=check.name) for check in suite])
    def test(check: Check) -> None:
        demand(check, outside)

    return test


def _stock(answer: Any, given: Any) -> Any:
    if not isinstance(answer, Stock):
        raise TypeError(f"expected a patchcore.testing.Stock but found {answer!r:.200}")
    return {
        "changes": encode(list(answer.changes)),
        "other": answer.other,
        "bad": answer.bad and [encode(answer.bad.change), answer.bad.culprit],
        "after_restart": encode(answer.after_restart),
        "secret": answer.secret,
        "probes": [
            [encode(case.healthy), encode(case.unhealthy), encode(case.cannot_run)]
            for case in answer.probes
        ],
    }


def _seen(answer: Any, given: Any) -> Any:
    if not isinstance(answer, Seen):
        raise TypeError(f"expected a patchcore.testing.Seen but found {answer!r:.200}")
    return {"versions": encode(answer.versions), "trace": encode(answer.trace)}


_METHODS = {
    "stock": Method("stock", lambda given: (), _stock),
    "look": Method("look", tuple, _seen),
    "meddle": Method("meddle", tuple, lambda answer, given: None),
    "trouble": Method(
        "trouble",
        lambda given: (TroubleKind(given[0]), given[1]),
        lambda answer, given: bool(answer),
    ),
    "held": Method(
        "held",
        lambda given: (given[0], convert(BracketKind, given[1])),
        lambda answer, given: int(answer),
    ),
}
