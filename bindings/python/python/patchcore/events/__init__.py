"""What a run records: one frozen class for each kind of event.

``str(event)`` is the line for people. A kind that this version does not know comes as :class:`Other`, one that cannot
be read as :class:`Damaged`. Times are in UTC; structured parts are :class:`Json`, mappings that cannot be changed.

The classes are checked against the Rust source by ``tests/test_drift.py``.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from .._decode import build, freeze
from ._base import KINDS, ComponentEvent, Damaged, Event, Other, RunEvent
from ._component import (
    Admitted,
    Begun,
    Checked,
    CutShort,
    Failed,
    Forgiven,
    Fought,
    Intended,
    Locked,
    Moved,
    Quarantined,
    Resolved,
    Scanned,
    Settled,
    Skipped,
    SoakOver,
    Stalled,
    Unlocked,
    WayBackOpened,
)
from ._run import (
    CommandRefused,
    DenialLifted,
    Denied,
    Ended,
    Ending,
    HaltLifted,
    Halted,
    PausePointCleared,
    PausePointSet,
    Paused,
    RingApproved,
    RingOpened,
    RingPassed,
    Roll,
    SoakEnded,
    SoakStarted,
    Started,
    TakenOver,
    Unpaused,
)

__all__ = [
    "Admitted",
    "Begun",
    "Checked",
    "CommandRefused",
    "ComponentEvent",
    "CutShort",
    "Damaged",
    "DenialLifted",
    "Denied",
    "Ended",
    "Ending",
    "Event",
    "Failed",
    "Forgiven",
    "Fought",
    "HaltLifted",
    "Halted",
    "Intended",
    "KINDS",
    "Locked",
    "Moved",
    "Other",
    "PausePointCleared",
    "PausePointSet",
    "Paused",
    "Quarantined",
    "Resolved",
    "RingApproved",
    "RingOpened",
    "RingPassed",
    "Roll",
    "RunEvent",
    "Scanned",
    "Settled",
    "Skipped",
    "SoakEnded",
    "SoakOver",
    "SoakStarted",
    "Stalled",
    "Started",
    "TakenOver",
    "Unlocked",
    "Unpaused",
    "WayBackOpened",
    "read",
]


def read(row: tuple[int, datetime, int, str | None, str, str, str, str]) -> Event:
    """An event as the native half hands it out."""
    seq, at, run, component, family, kind, body, text = row
    place: dict[str, Any] = {"seq": seq, "at": at, "run": run, "text": text}
    data = json.loads(body)
    if family == "damaged":
        return Damaged(kind=kind, component=component, why=data["why"], **place)
    cls = KINDS.get(kind)
    if family == "other" or cls is None:
        rest = data["body"] if family == "other" else data
        return Other(kind=kind, component=component, body=freeze(rest), **place)
    if component is not None:
        place["component"] = component
    return build(cls, data, **place)
