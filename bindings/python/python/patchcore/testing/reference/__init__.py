"""A correct provider over machines in memory, in virtual time: to read, and for planting faults.

:class:`Full` is the full way, with every port: keyed jobs that outlive their caller, the locks of targets, and a pager
that is silenced around changes. :class:`Short` is the short way over the same machines.
"""

from __future__ import annotations

from ... import provider as p
from ..._provider import SimpleProvider
from ...provider import Change, PatchChange
from .. import BadChange, ProbeCase, Seen, Stock, TroubleKind
from .full import Provider
from .lock import Locks
from .short import ShortProvider
from .silence import Alerts, Silence
from .world import JOB, MEMORY, Machine, World, drift, patches, sightings

__all__ = [
    "Alerts",
    "Full",
    "JOB",
    "Locks",
    "MEMORY",
    "Machine",
    "PASSWORD",
    "Provider",
    "Short",
    "ShortProvider",
    "Silence",
    "World",
    "drift",
    "patches",
    "sightings",
]

PASSWORD = "correct-horse-battery"


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
        elif kind is TroubleKind.BRACKET_ENDED:
            for silence in self._world.silences:
                if silence.about == component and silence.ended_by is None:
                    silence.ended_by = "somebody else"
        else:
            return False
        return True

    def held(self, component: str, kind: p.BracketKind) -> int:
        now = self.clock.now()
        return sum(s.about == component and s.holds(now) for s in self._world.silences)


class Short(Full):
    """The outside of the short way."""

    def connect(self) -> SimpleProvider:
        return ShortProvider(self._world, PASSWORD)
