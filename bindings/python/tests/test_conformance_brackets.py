"""Planted faults of brackets: each is named by the check that is about it, and by no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import patchcore as pc
from patchcore import provider as p
from patchcore import testing
from patchcore.testing import reference
from patchcore.testing.reference.silence import US
from test_conformance import named_alone


class Promises(reference.Alerts):
    """Says that the pager is silent when it was only asked."""

    async def begin(self, ctx: p.Context, op: p.Op[p.BracketRequest]) -> p.Begun:
        if isinstance(op.request, p.GiveBack):
            return await super().begin(ctx, op)
        done = p.Done(p.Evidence("202 accepted", ctx.now()))
        return p.Settled(dict.fromkeys(op.request.subjects, done))


class Remembers(reference.Alerts):
    """Tells what it did for what is there."""

    def _holding(self, ctx: p.Context, taken: str, name: str) -> p.Holding:
        ours = self._of(taken, name)
        if ours is not None and ours.ended_by != US:
            return p.StillHeld(p.Evidence("it was silenced", ctx.now()))
        return super()._holding(ctx, taken, name)


class Drops(reference.Alerts):
    """Leaves out what it does not hold."""

    async def held(
        self, ctx: p.Context, kind: p.BracketKind, taken: str, components: Sequence[str]
    ) -> dict[str, p.Holding | pc.Error]:
        answers = await super().held(ctx, kind, taken, components)
        first = next(iter(answers))
        return {name: a for name, a in answers.items() if name == first or isinstance(a, p.StillHeld)}


class Stays(reference.Alerts):
    """Says that alerts are back, and leaves them silenced."""

    async def begin(self, ctx: p.Context, op: p.Op[p.BracketRequest]) -> p.Begun:
        if isinstance(op.request, p.Take):
            return await super().begin(ctx, op)
        done = p.Done(p.Evidence("202 accepted", ctx.now()))
        return p.Settled(dict.fromkeys(op.request.subjects, done))


class Insists(reference.Alerts):
    """Gives back what is given back already."""

    def _ready(self, ctx: p.Context, request: p.BracketRequest, name: str) -> p.Readiness:
        ready = super()._ready(ctx, request, name)
        return p.Ready() if isinstance(ready, p.AlreadyHolds) else ready


class Twice(reference.Alerts):
    """Every start takes one more."""

    async def begin(self, ctx: p.Context, op: p.Op[p.BracketRequest]) -> p.Begun:
        if isinstance(op.request, p.Take) and self._of(op.key, op.request.subjects[0]) is not None:
            until = ctx.now() + op.request.at_least
            self._silences.append(reference.Silence(op.request.subjects[0], op.key, until))
        return await super().begin(ctx, op)


class Forgets(reference.Alerts):
    """What was taken is not found again."""

    async def locate(self, ctx: p.Context, op: p.Op[p.BracketRequest]) -> p.Located:
        return p.NotFound()


class Undoes(reference.Alerts):
    """The way back names another operation."""

    def undo(self, op: p.Op[p.BracketRequest]) -> p.Undo[p.BracketRequest]:
        request = op.request
        if not isinstance(request, p.Take):
            return super().undo(op)
        return p.UndoBy(p.GiveBack(request.components, request.kind, "another"))


class Sweeps(reference.Alerts):
    """Giving one back ends all of them."""

    async def begin(self, ctx: p.Context, op: p.Op[p.BracketRequest]) -> p.Begun:
        if isinstance(op.request, p.GiveBack):
            for silence in self._silences:
                silence.ended_by = silence.ended_by or "patchcore"
        return await super().begin(ctx, op)


class Blinks(reference.Alerts):
    """Does not see that somebody else ended it."""

    def _ready(self, ctx: p.Context, request: p.BracketRequest, name: str) -> p.Readiness:
        ready = super()._ready(ctx, request, name)
        return p.Ready() if isinstance(ready, p.ChangedMeanwhile) else ready


class Agrees(reference.Alerts):
    """Takes a kind that it does not claim."""

    async def prepare(self, ctx: p.Context, request: p.BracketRequest) -> p.Prepared:
        return await super().prepare(ctx, replace(request, kind=p.BracketKind.SILENCE))


class Tires(reference.Alerts):
    """Is silent for half of the time."""

    async def begin(self, ctx: p.Context, op: p.Op[p.BracketRequest]) -> p.Begun:
        if isinstance(op.request, p.Take):
            op = replace(op, request=replace(op.request, at_least=op.request.at_least / 2))
        return await super().begin(ctx, op)


class Asks(reference.Alerts):
    """Takes it when it is asked whether it could."""

    def _ready(self, ctx: p.Context, request: p.BracketRequest, name: str) -> p.Readiness:
        if isinstance(request, p.Take) and ctx.key is not None and self._of(ctx.key, name) is None:
            self._silences.append(reference.Silence(name, ctx.key, ctx.now() + timedelta(days=1)))
        return super()._ready(ctx, request, name)


def silenced_by(kind: type[reference.Alerts]) -> type[Any]:
    class Provider(reference.Provider):
        def ports(self) -> p.Ports:
            return replace(super().ports(), bracket=kind(self._world.silences))

    def connect(self: Any) -> Any:
        return Provider(self._world, reference.PASSWORD)

    return type(kind.__name__, (reference.Full,), {"connect": connect})


FAULTS = [
    (Promises, "bracket_take_is_there_and_read_back"),
    (Remembers, "bracket_held_reads_the_target"),
    (Drops, "bracket_held_answers_every_component_asked"),
    (Twice, "bracket_take_twice_has_one_effect"),
    (Forgets, "bracket_is_found_again_by_a_new_process"),
    (Undoes, "bracket_undo_is_the_give_back_that_names_it"),
    (Stays, "bracket_given_back_is_gone"),
    (Insists, "bracket_give_back_may_be_repeated"),
    (Sweeps, "bracket_of_others_stays"),
    (Blinks, "bracket_change_by_others_is_a_fight"),
    (Agrees, "bracket_unclaimed_kinds_are_unsupported"),
    (Asks, "bracket_questions_change_nothing"),
    (Tires, "bracket_holds_as_long_as_asked"),
]


@pytest.mark.parametrize(("alerts", "check"), FAULTS)
def test_a_faulty_bracket_is_named_by_its_check(alerts: type[reference.Alerts], check: str) -> None:
    named_alone(silenced_by(alerts), check)


def test_every_check_of_a_bracket_has_its_fault_here() -> None:
    assert {check for _, check in FAULTS} == {c.name for c in testing.checks("bracket")}
