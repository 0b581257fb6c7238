"""Proofs that no roll patches every host, and what would change that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from ._wire import Value, variant


@variant("not_open")
@dataclass(frozen=True)
class NotOpen(Value):
    """The host is down, or closed and not patched."""


@variant("dedicated")
@dataclass(frozen=True)
class KeptForFailures(Value):
    """The host is kept for failures."""


@variant("too_small")
@dataclass(frozen=True)
class TooSmall(Value):
    """The host is too small even when it is empty."""

    resource: str
    takes: int
    has: int


@variant("rule")
@dataclass(frozen=True)
class ByRule(Value):
    """A rule keeps the machine from the host."""


@variant("cpu_level")
@dataclass(frozen=True)
class LesserCpu(Value):
    """The host's CPU is below the machine's level, before and after the patch."""

    needs: int
    has: int


WhyNever = Union[NotOpen, KeptForFailures, TooSmall, ByRule, LesserCpu]
"""Why a host can never take a machine, whatever else is on it."""


@dataclass(frozen=True)
class NeverTakes(Value):
    """One host that can never take a machine."""

    host: str
    why: WhyNever


@variant("aggregate_capacity")
@dataclass(frozen=True)
class AggregateCapacity(Value):
    """With this host closed and every other open, demand and the reserve do not fit, in sum."""

    host: str
    resource: str
    demand: int
    usable: int


@variant("host_unevacuable")
@dataclass(frozen=True)
class HostUnevacuable(Value):
    """No other host can ever take this machine."""

    host: str
    vm: str
    targets: tuple[NeverTakes, ...]


@variant("group_too_large")
@dataclass(frozen=True)
class GroupTooLarge(Value):
    """With this host closed, its group has more machines than places."""

    rule: int
    host: str
    machines: int
    places: int
    max_per: int


@variant("pinned_no_policy")
@dataclass(frozen=True)
class PinnedNoPolicy(Value):
    """A machine cannot move, and nobody says what is to be done about it."""

    host: str
    vm: str
    owner: str | None = None


@variant("domain_limit")
@dataclass(frozen=True)
class DomainLimit(Value):
    """A limit lets this host never be closed."""

    host: str
    limit: str
    down: int
    most: int


@variant("window_too_short")
@dataclass(frozen=True)
class WindowTooShort(Value):
    """The longest window is too short for this host."""

    host: str
    takes_s: int
    longest_s: int


Certificate = Union[
    AggregateCapacity, HostUnevacuable, GroupTooLarge, PinnedNoPolicy, DomainLimit, WindowTooShort
]
"""A proof by arithmetic that not every host can be patched."""


@variant("set")
@dataclass(frozen=True)
class Set(Value):
    """Another limit or number in the cluster, by its place."""

    place: str
    to: int


@variant("stop_vms")
@dataclass(frozen=True)
class StopVms(Value):
    """These machines do not run meanwhile."""

    vms: tuple[str, ...]


@variant("add_host")
@dataclass(frozen=True)
class AddHost(Value):
    """One more host with at least so much of this resource."""

    resource: str
    amount: int


@variant("give_policy")
@dataclass(frozen=True)
class GivePolicy(Value):
    """A policy for this machine, such as ``shutdown_restart``."""

    vm: str


@variant("leave_out")
@dataclass(frozen=True)
class LeaveOut(Value):
    """This host is left out: ``allow_partial``."""

    host: str


Relaxation = Union[Set, StopVms, AddHost, GivePolicy, LeaveOut]
"""One change that makes a proof void; it does not promise that nothing else stands in the way."""
