"""The locks of targets in memory: compare-and-set, and a number that never comes twice."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ... import provider as p
from ...exceptions import Fenced


@dataclass
class _Kept:
    fence: int = 0
    """The number of the last holding."""
    held: p.Held | None = None


class Locks:
    """The lock of each target."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        # Each provider is called in a thread of its own.
        self._one = threading.RLock()

    def take(self, component: str, claim: p.Claim, now: datetime) -> p.Taken:
        """Take it, if it is free, ours already, or its holder yields."""
        with self._one:
            return self._take(component, claim, now)

    def _take(self, component: str, claim: p.Claim, now: datetime) -> p.Taken:
        kept = self._kept.setdefault(component, _Kept())
        held = self.look(component, now)
        if held is not None and (held.claim.journal, held.claim.opening) == (claim.journal, claim.opening):
            kept.held = replace(held, seen=now)
            return p.Ours(held.fence)
        if held is not None and not held.yields_to(claim):
            return p.HeldBy(held)
        kept.fence += 1
        kept.held = p.Held(claim, kept.fence, since=now, seen=now, at=now)
        return p.Ours(kept.fence) if held is None else p.TakenOver(kept.fence, held)

    def give_back(self, component: str, fence: int) -> None:
        """Give it back, if it is still held under that number."""
        with self._one:
            kept = self._kept.get(component)
            if kept is not None and kept.held is not None and kept.held.fence == fence:
                kept.held = None

    def look(self, component: str, now: datetime) -> p.Held | None:
        """Who holds it."""
        with self._one:
            kept = self._kept.get(component)
            return None if kept is None or kept.held is None else replace(kept.held, at=now)

    def seen(self, components: Sequence[str], ctx: p.Context) -> None:
        """A call of whoever holds it is a sign of life."""
        with self._one:
            for component in components:
                kept = self._kept.get(component)
                if kept is not None and kept.held is not None and kept.held.fence == ctx.fence:
                    kept.held = replace(kept.held, seen=ctx.now())

    def admits(self, component: str, ctx: p.Context) -> None:
        """Raise ``Fenced`` for whoever comes with the number of a holding that is over."""
        self.seen((component,), ctx)
        kept = self._kept.get(component, _Kept())
        if kept.held is not None and kept.held.fence != ctx.fence or kept.fence > ctx.fence:
            raise Fenced(
                f"{component} was taken over",
                expected=f"fence {kept.fence}",
                found=f"fence {ctx.fence}",
            )
