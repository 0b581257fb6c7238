"""What Python sees of events is what Rust records: kinds and fields are read from the source of the core."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import patchcore as pc
from patchcore import events, provider
from patchcore._decode import Json, fields_of
from patchcore.testing import TroubleKind
from patchcore.values import Failure

ROOT = Path(__file__).resolve().parents[3]
EVENTS = ROOT / "patchcore/src/execute/kernel/event.rs"

#: What each type of Rust is in Python; whatever stands here not is a structured part.
PLAIN = {
    **dict.fromkeys(
        "String RingName PersonId ComponentId WindowName PatchId Version OpKey Step RunVerdict End".split(),
        "str",
    ),
    **dict.fromkeys("usize u64 RunId".split(), "int"),
    "bool": "bool",
    "Timestamp": "datetime",
    "Failure": "Failure",
}


def of_python(rust: str) -> str:
    if inner := re.fullmatch(r"Option<(.+)>", rust):
        return f"{of_python(inner[1])} | None"
    if inner := re.fullmatch(r"Vec<(.+)>", rust):
        return f"tuple[{of_python(inner[1])}, ...]"
    if inner := re.fullmatch(r"\((.+)\)", rust):
        return f"tuple[{', '.join(of_python(part.strip()) for part in inner[1].split(','))}]"
    return PLAIN.get(rust, "Json")


def of_rust(source: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Kind to its base class and its fields with their types."""
    found = {}
    for enum in ("ComponentEvent", "RunEvent"):
        body = re.search(rf"pub enum {enum} \{{\n(.*?)\n\}}\n", source, re.S)
        assert body is not None, enum
        for variant in re.finditer(r"^    (\w+)(?:,| \{\n(.*?)\n    \},)$", body[1], re.S | re.M):
            kind = re.sub(r"(?<!^)(?=[A-Z])", "_", variant[1]).lower()
            parts = re.findall(r"^        (\w+): (.+),$", variant[2] or "", re.M)
            found[kind] = (enum, {name: of_python(rust) for name, rust in parts})
    return found


def of_classes() -> dict[str, tuple[str, dict[str, str]]]:
    found = {}
    for kind, cls in events.KINDS.items():
        base = "RunEvent" if issubclass(cls, events.RunEvent) else "ComponentEvent"
        annotations = {f.name: f.type for f in dataclasses.fields(cls)}
        parts = {json: str(annotations[name]) for json, (name, _) in fields_of(cls).items()}
        found[kind] = (base, parts)
    return found


def test_events_are_those_of_rust() -> None:
    rust = of_rust(EVENTS.read_text())
    assert len(rust) >= 37
    assert of_classes() == rust


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    SoakEnded {", "    SoakStopped {"),
        ("        wave: usize,", "        wave: String,"),
        ("        wave: usize,", "        wave: usize,\n        place: usize,"),
        ("    Forgiven,\n", ""),
    ],
)
def test_a_planted_drift_is_found(before: str, after: str) -> None:
    source = EVENTS.read_text()
    assert before in source
    assert of_classes() != of_rust(source.replace(before, after, 1))


def variants(file: str, enum: str) -> list[str]:
    """The words of an enum of the core, by the names of its variants."""
    body = re.search(rf"pub enum {enum} \{{\n(.*?)\n\}}\n", (ROOT / file).read_text(), re.S)
    assert body is not None, enum
    names = re.findall(r"^    (\w+)(?:,| \{|\()", body[1], re.M)
    return [re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in names]


#: What only outsides of drainers are asked for: no provider in Python offers that port yet.
NOT_YET = {"Trouble": ["vm_moved", "setting_changed"]}


@pytest.mark.parametrize(
    ("file", "enum", "words"),
    [
        ("patchcore/src/estate/class.rs", "PatchClass", pc.PatchClass),
        ("patchcore/src/estate/patch.rs", "Impact", pc.Impact),
        ("patchcore/src/estate/component.rs", "ComponentKind", pc.ComponentKind),
        ("patchcore/src/execute/standing.rs", "Standing", pc.StandingState),
        ("patchcore/src/report/mod.rs", "Verdict", pc.Verdict),
        ("patchcore/src/estate/component.rs", "IdentityKind", provider.IdentityKind),
        ("patchcore/src/estate/relation.rs", "RelationKind", provider.RelationKind),
        ("patchcore/src/estate/scan.rs", "WayBackKind", provider.WayBackKind),
        ("patchcore/src/provider/bracket.rs", "BracketKind", provider.BracketKind),
        ("patchcore/src/provider/probe.rs", "ProbeVerdict", provider.ProbeVerdict),
        ("patchcore/src/provider/mod.rs", "EvidenceLabel", provider.EvidenceLabel),
        ("testkit/src/fixture.rs", "Trouble", TroubleKind),
    ],
)
def test_words_are_those_of_rust(file: str, enum: str, words: Iterable[str]) -> None:
    assert [str(word) for word in words] + NOT_YET.get(enum, []) == variants(file, enum)


@pytest.mark.parametrize(
    ("file", "table", "words"),
    [
        ("patchcore/src/execute/kernel/phase.rs", "PAUSABLE", pc.Step),
        ("patchcore/src/execute/kernel/steer.rs", "ALL", pc.Resolution),
    ],
)
def test_words_of_people_are_those_of_rust(file: str, table: str, words: Iterable[str]) -> None:
    source = (ROOT / file).read_text()
    names = re.search(rf"{table}: \[Self; \d+\] =\s*\[(.*?)\]", source, re.S)
    assert names is not None
    slugs = dict(re.findall(r'Self::(\w+) => "([\w-]+)"', source))
    expected = [slugs[name] for name in re.findall(r"Self::(\w+)", names[1])]
    assert [str(word) for word in words] == expected


def test_every_class_is_exported() -> None:
    assert {cls.__name__ for cls in events.KINDS.values()} < set(events.__all__)


def test_every_kind_is_read_and_has_a_plain_form() -> None:
    """Also those that call a part of theirs as a part of every event is called: nothing is lost."""
    made: dict[str, Any] = {"str": "x", "int": 7, "bool": True, "datetime": "2026-12-07T22:00:00Z", "Json": {"a": 1}}
    made["Failure"] = {"kind": "busy", "message": "m"}
    at = datetime(2026, 12, 7, 14, tzinfo=timezone.utc)
    for kind, (family, parts) in of_rust(EVENTS.read_text()).items():
        body = {n: made.get(t.split(" ")[0], []) for n, t in parts.items()}
        component = "web-1" if family == "ComponentEvent" else None
        event = events.read((3, at, 5, component, "known", kind, json.dumps(body), "the line"))
        assert isinstance(event, getattr(events, family)), kind
        assert (event.seq, event.at, event.run, event.kind, str(event)) == (3, at, 5, kind, "the line")
        plain = json.loads(json.dumps(event.to_dict()))
        assert pc.Event.from_dict(plain) == event and datetime.fromisoformat(plain["at"]) == at
        assert len(plain) == 5 + len(body) + (component is not None), kind
    with pytest.raises(ValueError, match="expected Halted but found an event moved"):
        events.Halted.from_dict({"kind": "moved"})


def test_what_cannot_be_read_has_a_plain_form_too() -> None:
    at = datetime(2026, 12, 7, 14, tzinfo=timezone.utc)
    newer = events.read((3, at, 5, None, "other", "thawed", '{"body": {"by": "maria"}}', "the line"))
    broken = events.read((4, at, 5, "web-1", "damaged", "begun", '{"why": "no handle"}', "the line"))
    assert isinstance(newer, events.Other) and isinstance(broken, events.Damaged)
    assert [pc.Event.from_dict(e.to_dict()) for e in (newer, broken)] == [newer, broken]


def test_annotations_are_real_types() -> None:
    for cls in events.KINDS.values():
        hints = get_type_hints(cls)
        assert hints["seq"] is int and Json is not None and Failure is not None
