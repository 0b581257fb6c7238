"""The two faces have the same methods: what blocks in one is awaited in the other."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import patchcore as pc

#: What asks nobody and is the same object in both; everything else must be a twin.
PLAIN = {"name", "now", "approve", "id", "plan_of_run", "standing", "from_file", "from_env"}
ITERATORS = {"events", "lines"}
NAMES = {"Run": "AsyncRun", "Iterator": "AsyncIterator"}


def methods(cls: type[Any]) -> dict[str, Any]:
    return {
        name: member
        for name, member in inspect.getmembers(cls)
        if not name.startswith("_") and not isinstance(member, property)
    }


def faults(blocking: type[Any], awaited: type[Any]) -> list[str]:
    one, other = methods(blocking), methods(awaited)
    found = [f"only one has {name}" for name in one.keys() ^ other.keys()]
    for name in one.keys() & other.keys():
        if getattr(one[name], "__func__", one[name]) is getattr(other[name], "__func__", other[name]):
            if name not in PLAIN:
                found.append(f"{name} blocks in both")
            continue
        mine, theirs = inspect.signature(one[name]), inspect.signature(other[name])
        if mine.parameters != theirs.parameters:
            found.append(f"{name}: {mine} and {theirs}")
        expected = str(mine.return_annotation)
        for word, twin in NAMES.items():
            if expected.split("[")[0].split(" ")[0] == word:
                expected = expected.replace(word, twin, 1)
        if expected != str(theirs.return_annotation):
            found.append(f"{name} gives {mine.return_annotation} and {theirs.return_annotation}")
        asynchronous = (
            inspect.isasyncgenfunction if name in ITERATORS else inspect.iscoroutinefunction
        )
        if not asynchronous(other[name]):
            found.append(f"{name} is not awaited")
    return found


@pytest.mark.parametrize(
    ("blocking", "awaited"),
    [(pc.Estate, pc.AsyncEstate), (pc.Run, pc.AsyncRun), (pc.VCenter, pc.AsyncVCenter)],
)
def test_the_faces_are_twins(blocking: type[Any], awaited: type[Any]) -> None:
    assert len(methods(blocking)) >= 5
    assert faults(blocking, awaited) == []


def test_a_planted_difference_is_found() -> None:
    class Lacking(pc.AsyncRun):
        async def pause(self, by: str) -> None:  # type: ignore[override]
            """Another signature."""

        def report(self) -> Any:
            """Blocks."""

        async def more(self) -> None:
            """Has no twin."""

    found = "\n".join(faults(pc.Run, Lacking))
    assert "pause: (" in found and "report is not awaited" in found and "only one has more" in found
