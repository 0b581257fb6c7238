"""Planted faults of locks of targets: each is named by the check that is about it, and by no other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from patchcore import provider as p
from patchcore import testing
from patchcore.testing import reference
from test_conformance import named_alone


class Looks(reference.Locks):
    """Looks who has it, and writes afterwards."""

    def take(self, component: str, claim: p.Claim, now: datetime) -> p.Taken:
        free = self.look(component, now) is None
        time.sleep(0.05)
        meanwhile = self.look(component, now)
        if free and meanwhile is not None:
            self.give_back(component, meanwhile.fence)
        return super().take(component, claim, now)


class Renumbers(reference.Locks):
    """Gives whoever has it already another number."""

    def take(self, component: str, claim: p.Claim, now: datetime) -> p.Taken:
        held = self.look(component, now)
        if held is not None and held.claim == claim:
            self.give_back(component, held.fence)
        return super().take(component, claim, now)


class Nameless(reference.Locks):
    """Tells whoever waits that it waits for itself."""

    def take(self, component: str, claim: p.Claim, now: datetime) -> p.Taken:
        taken = super().take(component, claim, now)
        return p.HeldBy(replace(taken.held, claim=claim)) if isinstance(taken, p.HeldBy) else taken


class Keeps(reference.Locks):
    """Stays taken for ever."""

    def give_back(self, component: str, fence: int) -> None:
        pass


class AnyHand(reference.Locks):
    """Is given back by whoever says so."""

    def give_back(self, component: str, fence: int) -> None:
        held = self._kept[component].held
        if held is not None:
            super().give_back(component, held.fence)


class Yields(reference.Locks):
    """Yields by a rule of its own."""

    def yields(self, held: p.Held, claim: p.Claim, now: datetime) -> bool:
        raise NotImplementedError

    def take(self, component: str, claim: p.Claim, now: datetime) -> p.Taken:
        held = self.look(component, now)
        ours = held is not None and held.claim.opening == claim.opening
        if held is None or ours or held.yields_to(claim) is self.yields(held, claim, now):
            return super().take(component, claim, now)
        if not self.yields(held, claim, now):
            return p.HeldBy(held)
        self.give_back(component, held.fence)
        taken = super().take(component, claim, now)
        assert isinstance(taken, p.Ours)
        return p.TakenOver(taken.fence, held)


def lapsed(held: p.Held, now: datetime) -> bool:
    return now - held.seen >= held.claim.lease


class Waits(Yields):
    """After a crash a run waits for its own lock."""

    def yields(self, held: p.Held, claim: p.Claim, now: datetime) -> bool:
        return lapsed(held, now)


class Copied(Yields):
    """Goes to whoever has the same journal, or a copy of it."""

    def yields(self, held: p.Held, claim: p.Claim, now: datetime) -> bool:
        return held.claim.journal == claim.journal or lapsed(held, now)


class Immortal(Yields):
    """Never lapses."""

    def yields(self, held: p.Held, claim: p.Claim, now: datetime) -> bool:
        return held.claim.journal == claim.journal and claim.epoch > held.claim.epoch


class Deaf(reference.Locks):
    """Does not hear that its holder lives."""

    def seen(self, components: Sequence[str], ctx: p.Context) -> None:
        pass


class Lenient(reference.Locks):
    """Lets in whoever lost it."""

    def admits(self, component: str, ctx: p.Context) -> None:
        pass


def locked_by(kind: type[reference.Locks]) -> type[Any]:
    def made(self: Any) -> None:
        reference.Full.__init__(self)
        self._world.locks = kind()

    return type(kind.__name__, (reference.Full,), {"__init__": made})


FAULTS = [
    (Looks, "lock_is_given_to_one_of_many"),
    (Renumbers, "lock_taken_again_is_the_same"),
    (Nameless, "lock_names_its_holder"),
    (Keeps, "lock_given_back_is_free_and_counts_on"),
    (AnyHand, "lock_is_given_back_by_its_holder_only"),
    (Waits, "lock_goes_to_a_later_opening_at_once"),
    (Copied, "lock_is_not_given_to_a_copy_of_the_journal"),
    (Immortal, "lock_lapses_after_its_lease"),
    (Deaf, "lock_lives_by_the_calls_of_its_holder"),
    (Lenient, "lock_refuses_the_begin_of_who_lost_it"),
]


@pytest.mark.parametrize(("locks", "check"), FAULTS)
def test_a_faulty_lock_is_named_by_its_check(locks: type[reference.Locks], check: str) -> None:
    named_alone(locked_by(locks), check)


def test_every_check_of_a_lock_has_its_fault_here() -> None:
    assert {check for _, check in FAULTS} == {c.name for c in testing.checks("lock")}
