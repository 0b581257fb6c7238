"""What crosses to a provider and back is what the core reads and writes: by the JSON Schema of its own types."""

from __future__ import annotations

import copy
import dataclasses
import json
import types
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

import patchcore as pc
from patchcore import _native
from patchcore import provider as p
from patchcore._decode import WORD
from patchcore._joined import raised

SCHEMAS: dict[str, Any] = json.loads(_native.provider_schemas())

#: Each type of the core that crosses, and what it is in Python.
HINTS: dict[str, Any] = {
    "Listing": p.Listing,
    "Available": p.Available,
    "Scan": p.Scan,
    "DeployRequest": p.DeployRequest,
    "BracketRequest": p.BracketRequest,
    "DeployerCapabilities": p.DeployerCapabilities,
    "BracketCapabilities": p.BracketCapabilities,
    "Op": p.Op,
    "BracketOp": p.Op,
    "Guarantee": p.Guarantee,
    "Undo": p.Undo,
    "Prepared": p.Prepared,
    "Begun": p.Begun,
    "Located": p.Located,
    "Observed": p.Observed,
    "Holding": p.Holding,
    "Taken": p.Taken,
    "Claim": p.Claim,
    "ProbeRequest": p.ProbeRequest,
    "ProbeAnswer": p.ProbeAnswer,
}
#: Parts whose shape in Python is not by the field; each with what stands there instead.
BY_HAND = {
    "Listing.scans": "a scan or an exception: round trip below",
    "Op.request": "DeployRequest and BracketRequest, each compared by itself",
    "UndoBy.request": "the same",
    "Failure.kind": "the words of errors: test_errors.py",
    "Component.at": "where it is left out, the time of the listing",
}


class Differs(Exception):
    pass


def demand(same: bool, where: str, core: Any, python: Any) -> None:
    if not same:
        raise Differs(f"{where}: the core has {core}, Python has {python}")


class Walk:
    """Through a schema and the annotations beside it."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.defs, self.seen = root.get("$defs", {}), set[tuple[str, str]]()

    def resolved(self, node: Any) -> Any:
        while isinstance(node, dict) and "$ref" in node:
            node = self.defs[node["$ref"].rpartition("/")[2]]
        return node

    def forms(self, node: Any) -> list[Any]:
        """The forms that a value may have, each resolved."""
        node = self.resolved(node)
        for key in ("oneOf", "anyOf"):
            if key in node:
                return [form for part in node[key] for form in self.forms(part)]
        kinds = node.get("type")
        if isinstance(kinds, list):
            return [form for kind in kinds for form in self.forms(node | {"type": kind})]
        if "enum" in node:
            return [{"type": "string", "const": word} for word in node["enum"]]
        return [node]

    def compare(self, where: str, node: Any, hint: Any) -> None:
        forms = [form for form in self.forms(node) if form.get("type") != "null"]
        nullable = len(forms) < len(self.forms(node))
        kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        if type(None) in kinds:
            demand(nullable, where, "never null", hint)
            kinds = tuple(kind for kind in kinds if kind is not type(None))
        if hint is Any or hint is pc.Error:
            return
        if len(kinds) > 1 or getattr(kinds[0], WORD, None) or is_words(kinds[0]):
            return self.compare_words(where, forms, kinds)
        demand(len(forms) == 1, where, forms, hint)
        self.compare_one(where, forms[0], kinds[0])

    def compare_words(self, where: str, forms: list[Any], kinds: tuple[Any, ...]) -> None:
        """One of several forms, each with its word."""
        core: dict[str, Any] = {}
        for form in forms:
            if "const" in form:
                core[form["const"]] = None
                continue
            tags = [key for key, part in form["properties"].items() if "const" in part]
            word = form["properties"][tags[0]]["const"] if tags else next(iter(form["properties"]))
            core[word] = (form, tags)
        python: dict[str, Any] = {}
        for kind in kinds:
            kind = get_origin(kind) or kind
            if is_words(kind):
                python |= {word.value: None for word in kind}
            else:
                python[getattr(kind, WORD)[0]] = kind
        demand(set(core) == set(python), where, sorted(core), sorted(python))
        for word, kind in python.items():
            self.compare_variant(f"{where}.{word}", core[word], kind)

    def compare_variant(self, where: str, core: Any, kind: Any) -> None:
        if kind is None or core is None:
            bare = kind is None or not dataclasses.fields(kind)
            demand(core is None and bare, where, core, kind)
            return
        form, tags = core
        word, tag, bare = getattr(kind, WORD)
        demand(tags == ([tag] if tag else []), where, tags, tag)
        inner = form
        if tag:
            properties = {k: v for k, v in form["properties"].items() if k != tag}
            inner = form | {"properties": properties, "required": [k for k in form["required"] if k != tag]}
        else:
            inner = self.resolved(form["properties"][word])
            if bare:
                (field,) = dataclasses.fields(kind)
                if f"{kind.__name__}.{field.name}" not in BY_HAND:
                    self.compare(where, inner, get_type_hints(kind)[field.name])
                return
        self.compare_fields(where, inner, kind)

    def compare_fields(self, where: str, form: Any, kind: Any) -> None:
        if (where, kind.__name__) in self.seen:
            return
        self.seen.add((where, kind.__name__))
        properties, required = form.get("properties", {}), set(form.get("required", ()))
        hints = get_type_hints(kind)
        fields = {f.metadata.get("json", f.name): f for f in dataclasses.fields(kind)}
        demand(set(fields) == set(properties), where, sorted(properties), sorted(fields))
        for name, field in fields.items():
            by_hand = f"{kind.__name__}.{field.name}" in BY_HAND
            absent = type(None) in get_args(hints[field.name]) and not field.metadata.get("always")
            demand(by_hand or not (absent and name in required), f"{where}.{name}", "always there", "left out where None")
            if not by_hand:
                self.compare(f"{where}.{name}", properties[name], hints[field.name])

    def compare_one(self, where: str, form: Any, hint: Any) -> None:
        origin, kind = get_origin(hint), form.get("type") if isinstance(form, dict) else None
        if dataclasses.is_dataclass(origin or hint):
            demand(kind == "object", where, kind, hint)
            return self.compare_fields(where, form, origin or hint)
        if origin is tuple and get_args(hint)[-1] is Ellipsis:
            demand(kind == "array", where, kind, hint)
            return self.compare(f"{where}[]", form["items"], get_args(hint)[0])
        if origin is tuple:
            return demand(len(form["prefixItems"]) == len(get_args(hint)), where, form, hint)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            demand(kind == "object", where, kind, hint)
            return self.compare(f"{where}[]", form["additionalProperties"], get_args(hint)[1])
        plain = {str: "string", int: "integer", bool: "boolean", datetime: "string", timedelta: "string"}
        demand(plain.get(hint) == kind, where, kind, hint)


def is_words(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def compare(schemas: Mapping[str, Any]) -> None:
    demand(set(schemas) == {*HINTS, "Raised"}, "what crosses", sorted(schemas), sorted(HINTS))
    for name, hint in HINTS.items():
        Walk(schemas[name]).compare(name, schemas[name], hint)
    everything = pc.Error(
        "x", retryable=True, retry_after=timedelta(seconds=1), consequence="c", hint="h", context={"host": "a"}
    )
    known = set(schemas["Raised"]["properties"])
    demand(set(raised(everything)) == known, "Raised", sorted(known), sorted(raised(everything)))


def test_what_crosses_is_what_the_core_reads_and_writes() -> None:
    compare(SCHEMAS)


def _rename(at: dict[str, Any], old: str, new: str) -> None:
    at[new] = at.pop(old)


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (lambda s: _rename(s["Claim"]["properties"], "holder", "owner"), "Claim: the core has"),
        (lambda s: s["Claim"]["properties"]["epoch"].update(type="string"), "Claim.epoch"),
        (lambda s: s["Claim"]["properties"].update(zone={"type": "string"}), "zone"),
        (lambda s: s["Scan"]["required"].append("boot_id"), "Scan.boot_id"),
        (lambda s: s["Scan"]["$defs"]["WayBackKind"]["oneOf"].pop(), "Scan.way_back"),
        (lambda s: s["DeployRequest"]["oneOf"].pop(), "DeployRequest"),
        (lambda s: s["Raised"]["properties"].pop("hint"), "Raised"),
        (lambda s: s.update(Tide={}), "Tide"),
    ],
)
def test_a_planted_drift_is_found(plant: Callable[[Any], None], says: str) -> None:
    schemas = copy.deepcopy(SCHEMAS)
    plant(schemas)
    with pytest.raises(Differs, match=says):
        compare(schemas)


def test_values_read_what_they_wrote() -> None:
    at = datetime.fromisoformat("2026-12-07T14:00:00.250000+00:00")
    change = p.Change("m-1", (p.PatchChange("tls", "1", "2", p.Artifact("ab")),))
    evidence = p.Evidence("seen", at, p.Attested("dana"), "exit 0", {"n": [1, None]})
    failure = pc.Failure.of(pc.exceptions.Busy("locked", hint="wait", blames=["tls"]))
    every: list[Any] = [
        p.Op("k", p.Apply((change,), "s"), p.Baseline(1, {"a": None}), (p.Answer("q", "yes", "dana", at),)).baseline,
        p.Take(("m-1",), p.BracketKind.SILENCE, timedelta(hours=30, microseconds=5)),
        p.Keyed(timedelta(days=30)),
        p.Prepared(p.Baseline.empty(), {"m-1": p.Ready(), "m-2": p.AlreadyHolds(evidence), "m-3": p.Blocked(())}),
        p.Settled({"m-1": p.Done(evidence), "m-2": p.Failed(failure)}),
        p.Working(timedelta(seconds=1.5), p.Progress(3, "at work")),
        p.NeedsPerson(p.Question("q", "really?", ("yes", "no"))),
        p.Scan(at, {"tls": "1"}, way_back=p.NoWayBack("no bank"), takes=p.Estimate(timedelta(1), timedelta(2))),
        p.Available(at, (pc.Patch("tls", "2", contains=[("a", "1")]),), (p.KeptBack("x", p.Phased(10)),)),
        p.RedundancyGroup("dns", p.GroupRole.DNS, 1, ("a", "b")),
        p.RedundancyGroup("shop", p.OtherRole("shop"), 1, ("a", "b")),
        p.ProbeRequest("m-1", p.Http("https://m-1/")),
        p.TakenOver(3, p.Held(p.Claim("j", "o", 1, "p", timedelta(minutes=15)), 2, at, at, at)),
        pc.Component("m-1", identities=[pc.Identity("fqdn", " M-1.Example.org. ")], at=at),
        failure,
    ]
    for value in every:
        plain = json.loads(json.dumps(value.to_dict()))
        assert type(value).from_dict(plain) == value, plain
        hash(value)


def test_a_holding_yields_as_in_the_core() -> None:
    at = datetime.fromisoformat("2026-12-07T14:00:00+00:00")
    claim = p.Claim("a", "o1", 3, "p", timedelta(seconds=60))
    held = p.Held(claim, 5, at, at, at + timedelta(seconds=59))
    assert held.yields_to(dataclasses.replace(claim, opening="o2", epoch=4))
    assert not held.yields_to(dataclasses.replace(claim, journal="b", epoch=9))
    assert dataclasses.replace(held, at=at + timedelta(seconds=60)).yields_to(dataclasses.replace(claim, journal="b"))


def test_what_has_no_plain_form_is_refused_at_the_authors_line() -> None:
    with pytest.raises(pc.exceptions.ProviderFault, match="expected plain data but found b'x'"):
        p.Handle(1, b"x").to_dict()
    with pytest.raises(ValueError, match="a moment needs its zone"):
        p.Scan(datetime(2026, 1, 1), {}).to_dict()
    with pytest.raises(pc.exceptions.ProviderFault, match="a handle has another version: expected 2 but found 1"):
        p.Handle(1).read(2)
