"""The reference: every public item says what it is, and the pages are built of that."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import patchcore as pc
from patchcore import provider as p
from patchcore import testing

#: What Python itself explains.
KNOWN = frozenset(name for of in (object, int, str, Exception, tuple) for name in dir(of))


#: Methods that a protocol explains: whoever fulfils one does not say it again.
FULFILLED = frozenset(
    name
    for of in (*p.PROTOCOLS.values(), p.Provider, testing.Fixture)
    for name in dir(of)
    if not name.startswith("_")
) | {"held"}


def modules() -> list[ModuleType]:
    """The package and every module of it that has a public name."""
    found = pkgutil.walk_packages(pc.__path__, "patchcore.")
    names = [m.name for m in found if not any(part.startswith("_") for part in m.name.split("."))]
    return [pc, *map(importlib.import_module, sorted(n for n in names if ".test_" not in n and "conftest" not in n))]


def is_said(item: Any) -> bool:
    """Whether an author wrote what it is: a data class has its signature where nobody did."""
    said = inspect.getdoc(item) or ""
    return bool(said) and not said.startswith(f"{getattr(item, '__name__', '?')}(")


def public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Every class, function, method and property that a reader of a module meets."""
    for name in getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")]):
        item = getattr(module, name)
        if not (inspect.isclass(item) or inspect.isroutine(item)):
            continue
        if not str(getattr(item, "__module__", "")).startswith("patchcore"):
            continue
        yield f"{module.__name__}.{name}", item
        if not inspect.isclass(item):
            continue
        for member, value in vars(item).items():
            if member.startswith("_") or member in KNOWN:
                continue
            if module.__name__.startswith("patchcore.testing.reference") and member in FULFILLED:
                continue
            value = getattr(value, "__func__", value)
            if inspect.isroutine(value) or isinstance(value, property) or inspect.isgetsetdescriptor(value):
                yield f"{module.__name__}.{name}.{member}", value


def unsaid(module: ModuleType) -> list[str]:
    """What nobody explains."""
    missing = [] if is_said(module) else [module.__name__]
    return missing + [name for name, item in public(module) if not is_said(item)]


def test_every_public_item_says_what_it_is() -> None:
    every = modules()
    assert {"patchcore", "patchcore.events", "patchcore.provider", "patchcore.testing"} <= {m.__name__ for m in every}
    assert sum(1 for module in every for _ in public(module)) > 300
    assert [name for module in every for name in unsaid(module)] == []


def test_a_missing_sentence_is_found() -> None:
    class Silent:
        """It says what it is."""

        def method(self) -> None:
            pass

    Silent.__module__ = "patchcore.planted"
    module = ModuleType("patchcore.planted", "Said.")
    module.Silent = Silent  # type: ignore[attr-defined]
    assert unsaid(module) == ["patchcore.planted.Silent.method"]


def test_the_pages_are_built(tmp_path: Path) -> None:
    """With every warning an error. `PATCHCORE_REFERENCE` names a folder where they stay."""
    pages = Path(os.environ.get("PATCHCORE_REFERENCE", tmp_path))
    build = [sys.executable, "-W", "error", "-m", "pdoc", "-d", "restructuredtext", "--no-show-source", "-o", str(pages)]
    listed = ["patchcore", "patchcore.testing", "patchcore.testing.reference", "patchcore.values", "patchcore.words"]
    done = subprocess.run([*build, *listed], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "Warn" not in done.stderr, done.stderr
    text = (pages / "patchcore.html").read_text()
    for said in ("Start a run of an approved plan", "One person's approval of one plan", "The one honest question"):
        assert said.replace("'", "&#39;") in text or said in text, said
    assert sorted(path.stem for path in (pages / "patchcore").glob("*.html")) == [
        "events", "exceptions", "provider", "roll", "testing", "values", "vsphere", "words"
    ]


def test_a_warning_fails_the_pages(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text('"""Planted."""\nfrom nowhere_at_all import x\n')
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pdoc", "-o", str(tmp_path / "out"), "planted"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0, done.stderr
