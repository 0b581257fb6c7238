"""Patch orchestration: plan, approve, roll out, verify, roll back.

Data flows one way, and a person stands between deciding and acting: ``estate.plan`` reads and decides, people approve
the plan, ``estate.run`` carries out what was approved, and ``run.report`` says what was observed::

    import patchcore as pc

    estate = pc.Estate("fleet", [pc.Linux.from_file("inventory.toml")])
    journal = pc.Journal("run.db")
    run = estate.reopen(journal)            # what a crash left open goes on first
    if run is None:
        plan = estate.plan(pc.Policy.from_file("policy.toml"), requested_by="sam")
        print(plan)
        run = estate.run(plan.approve(plan.approval("maria")), journal)
    with run:                               # leaving early pauses at a safe point
        pc.follow(run)
    print(run.report())

:class:`Sim` stands in for machines, in virtual time. :class:`AsyncEstate` has the same methods for event loops. A tool
of your own is a :class:`SimpleProvider`, or has the ports of :mod:`patchcore.provider`; :mod:`patchcore.testing` proves
either. Every error is an :class:`Error`. ``python -m patchcore run.db status`` looks at a journal.
"""

from typing import TYPE_CHECKING, Any

from . import exceptions
from ._estate import AsyncEstate, Estate
from ._follow import follow
from ._journal import Journal
from ._native import (
    Approval,
    ApprovedPlan,
    Holder,
    Http,
    Linux,
    Plan,
    Policy,
    Report,
    Script,
    Sim,
    VirtualClock,
    VsphereCluster,
    __version__,
)
from ._provider import SimpleProvider
from ._run import AsyncRun, Run
from ._secret import Secret
from .exceptions import Error
from .values import (
    Component,
    ComponentProgress,
    Failure,
    Identity,
    Installed,
    Inventory,
    Patch,
    Progress,
    RingProgress,
    Standing,
)
from .words import (
    ComponentKind,
    ErrorKind,
    Impact,
    PatchClass,
    Resolution,
    StandingState,
    Step,
    Verdict,
)

if TYPE_CHECKING:
    from . import events, provider, roll, vsphere
    from .events import ComponentEvent, Damaged, Event, Other, RunEvent
    from .roll import Cluster, ClusterRoll, RollPlan, async_plan_roll, plan_roll
    from .vsphere import AsyncVCenter, VCenter

__all__ = [
    "Approval",
    "ApprovedPlan",
    "AsyncEstate",
    "AsyncRun",
    "AsyncVCenter",
    "Cluster",
    "ClusterRoll",
    "Component",
    "ComponentEvent",
    "ComponentKind",
    "ComponentProgress",
    "Damaged",
    "Error",
    "ErrorKind",
    "Estate",
    "Event",
    "Failure",
    "Holder",
    "Http",
    "Identity",
    "Impact",
    "Installed",
    "Inventory",
    "Journal",
    "Linux",
    "Other",
    "Patch",
    "PatchClass",
    "Plan",
    "Policy",
    "Progress",
    "Report",
    "Resolution",
    "RingProgress",
    "RollPlan",
    "Run",
    "RunEvent",
    "Script",
    "Secret",
    "Sim",
    "SimpleProvider",
    "Standing",
    "StandingState",
    "Step",
    "VCenter",
    "Verdict",
    "VirtualClock",
    "VsphereCluster",
    "__version__",
    "async_plan_roll",
    "events",
    "exceptions",
    "follow",
    "plan_roll",
    "provider",
    "roll",
    "vsphere",
]

_OF_EVENTS = frozenset(("ComponentEvent", "Damaged", "Event", "Other", "RunEvent"))
_OF_ROLLS = frozenset(("Cluster", "ClusterRoll", "RollPlan", "async_plan_roll", "plan_roll"))
_OF_VSPHERE = frozenset(("AsyncVCenter", "VCenter"))


def __getattr__(name: str) -> Any:
    """The classes of events, of ports, of rolls and of vSphere, when one is first used: making them costs more than all the rest."""
    if name in ("provider", "roll", "vsphere"):
        from importlib import import_module

        return import_module(f".{name}", __name__)
    known, of = _OF_EVENTS, "events"
    if name in _OF_ROLLS:
        known, of = _OF_ROLLS, "roll"
    elif name in _OF_VSPHERE:
        known, of = _OF_VSPHERE, "vsphere"
    if name != "events" and name not in known:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f".{of}", __name__)
    globals()[of] = module
    for part in known:
        globals()[part] = getattr(module, part)
    return globals()[name]
