"""``PATCHCORE_OUTSIDE=MODULE:CALLABLE pytest --pyargs patchcore.testing`` checks a provider without a test file."""

from __future__ import annotations

from collections.abc import Callable

from . import Check, Fixture, demand


def test_conformance(check: Check, outside: Callable[[], Fixture]) -> None:
    """The provider keeps what this check demands."""
    demand(check, outside)
