"""A pager in memory that can be silenced about a machine: a bracket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ... import provider as p
from ...exceptions import Error, ProviderFault, Unsupported

US = "patchcore"
MEMORY = timedelta(days=30)
"""How long the pager keeps what is over."""


@dataclass
class Silence:
    """One silence; its comment is all that the pager lets others write."""

    about: str
    comment: str
    until: datetime
    ended_by: str | None = None

    def holds(self, now: datetime) -> bool:
        """Whether the pager is silent for it."""
        return self.ended_by is None and now < self.until


class Alerts:
    """The port. What it knows is the pager."""

    def __init__(self, silences: list[Silence]) -> None:
        self._silences = silences

    def capabilities(self) -> p.BracketCapabilities:
        return p.BracketCapabilities((p.BracketKind.SILENCE,))

    def guarantee(self, op: p.Op[p.BracketRequest]) -> p.Guarantee:
        return p.Keyed(MEMORY)

    def undo(self, op: p.Op[p.BracketRequest]) -> p.Undo[p.BracketRequest]:
        request = op.request
        if isinstance(request, p.Take):
            return p.UndoBy(p.GiveBack(request.components, request.kind, op.key))
        return p.NothingToUndo()

    async def prepare(self, ctx: p.Context, request: p.BracketRequest) -> p.Prepared:
        if request.kind is not p.BracketKind.SILENCE:
            raise Unsupported(f"the pager cannot {type(request).__name__.lower()} a {request.kind}")
        return p.Prepared(
            p.Baseline.empty(), {name: self._ready(ctx, request, name) for name in request.subjects}
        )

    def _ready(self, ctx: p.Context, request: p.BracketRequest, name: str) -> p.Readiness:
        if isinstance(request, p.Take):
            return p.Ready()
        ours = self._of(request.taken, name)
        if ours is not None and ours.ended_by not in (None, US):
            return p.ChangedMeanwhile("our silence", f"{ours.ended_by} ended it")
        if ours is not None and ours.holds(ctx.now()):
            return p.Ready()
        return p.AlreadyHolds(p.Evidence("the pager is not silent for this", ctx.now()))

    async def begin(self, ctx: p.Context, op: p.Op[p.BracketRequest]) -> p.Begun:
        request = op.request
        for name in request.subjects:
            if isinstance(request, p.GiveBack):
                ours = self._of(request.taken, name)
                if ours is not None and ours.holds(ctx.now()):
                    ours.ended_by = US
            # The comment comes from the key alone, so that a second start under it finds the first.
            elif self._of(op.key, name) is None:
                self._silences.append(Silence(name, op.key, ctx.now() + request.at_least))
        return self._read_back(ctx, op)

    async def locate(self, ctx: p.Context, op: p.Op[p.BracketRequest]) -> p.Located:
        request = op.request
        if isinstance(request, p.Take):
            is_done = all(self._of(op.key, name) for name in request.subjects)
        else:
            is_done = not any(
                ours.holds(ctx.now())
                for name in request.subjects
                if (ours := self._of(request.taken, name)) is not None
            )
        return self._read_back(ctx, op) if is_done else p.NotFound()

    async def observe(
        self, ctx: p.Context, op: p.Op[p.BracketRequest], handle: p.Handle
    ) -> p.Observed:
        return p.Lost("a pager is silent at once, so nothing is ever at work")

    async def held(
        self, ctx: p.Context, kind: p.BracketKind, taken: str, components: Sequence[str]
    ) -> dict[str, p.Holding | Error]:
        return {name: self._holding(ctx, taken, name) for name in components}

    def _holding(self, ctx: p.Context, taken: str, name: str) -> p.Holding:
        ours = self._of(taken, name)
        if ours is None or not ours.holds(ctx.now()):
            return p.NotHeld("no such silence")
        return p.StillHeld(p.Evidence(f"silent about {name} until {ours.until:%FT%TZ}", ctx.now()))

    def _read_back(self, ctx: p.Context, op: p.Op[p.BracketRequest]) -> p.Settled:
        results: dict[str, p.SubjectResult] = {}
        for name in op.request.subjects:
            taken = op.key if isinstance(op.request, p.Take) else op.request.taken
            ours = self._of(taken, name)
            silent = ours is not None and ours.holds(ctx.now())
            if silent is isinstance(op.request, p.Take):
                saw = f"the pager is {'silent' if silent else 'not silent for this'}"
                results[name] = p.Done(p.Evidence(saw, ctx.now()))
            else:
                fault = ProviderFault(f"the pager is {'still' if silent else 'not'} silent about {name}")
                results[name] = p.Failed.of(fault)
        return p.Settled(results)

    def _of(self, taken: str, name: str) -> Silence | None:
        """The silence that an operation made."""
        found = (s for s in reversed(self._silences) if (s.comment, s.about) == (taken, name))
        return next(found, None)
