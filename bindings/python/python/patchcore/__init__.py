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
    from . import events, provider
    from .events import ComponentEvent, Damaged, Event, Other, RunEvent

__all__ = [
    "Approval",
    "ApprovedPlan",
    "AsyncEstate",
    "AsyncRun",
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
    "Run",
    "RunEvent",
    "Script",
    "Secret",
    "Sim",
    "SimpleProvider",
    "Standing",
    "StandingState",
    "Step",
    "Verdict",
    "VirtualClock",
    "__version__",
    "events",
    "exceptions",
    "follow",
    "provider",
]

_OF_EVENTS = frozenset(("ComponentEvent", "Damaged", "Event", "Other", "RunEvent"))


def __getattr__(name: str) -> Any:
    """The classes of events and of ports, when one is first used: making them costs more than all the rest."""
    if name == "provider":
        from importlib import import_module

        return import_module(".provider", __name__)
    if name != "events" and name not in _OF_EVENTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(".events", __name__)
    globals()["events"] = module
    for known in _OF_EVENTS:
        globals()[known] = getattr(module, known)
    return globals()[name]
