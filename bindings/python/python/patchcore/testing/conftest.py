"""Which tests there are in ``pytest --pyargs patchcore.testing``."""

from __future__ import annotations

import importlib
import os
import sys

import pytest

from . import checks, offered

OUTSIDE = "PATCHCORE_OUTSIDE"
"""What makes the outside of the provider to check, as ``MODULE:CALLABLE``; without it the reference provider is checked."""
REFERENCE = "patchcore.testing.reference:Full"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each check of each port that the provider offers is a test of its own."""
    wanted = os.environ.get(OUTSIDE, REFERENCE)
    module, _, name = wanted.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        outside = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise pytest.UsageError(f"{OUTSIDE}={wanted} cannot be loaded: {error}") from error
    finally:
        sys.path.remove(os.getcwd())
    suite = checks(*offered(outside))
    metafunc.parametrize(
        ("check", "outside"), [pytest.param(check, outside, id=check.name) for check in suite]
    )
