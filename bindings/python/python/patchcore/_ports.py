"""Providers the full way: how each method of each port is called, and what becomes of its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from . import provider as p
from ._decode import convert
from ._joined import Joined, Method, raised
from ._wire import encode
from .exceptions import InvalidInput, ProviderFault


def _given(*hints: Any) -> Callable[[list[Any]], tuple[Any, ...]]:
    return lambda plain: tuple(convert(hint, part) for hint, part in zip(hints, plain))


def _op(request: Any, *more: Any) -> Callable[[list[Any]], tuple[Any, ...]]:
    """An operation of a port, whose request is one of that port's."""
    rest = _given(*more)

    def given(plain: list[Any]) -> tuple[Any, ...]:
        op = convert(p.Op, plain[0] | {"request": None})
        asked = convert(request, plain[0]["request"])
        return (p.Op(op.key, asked, op.baseline, op.answers), *rest(plain[1:]))

    return given


def _is(answer: Any, kinds: Any) -> Any:
    """The plain form of an answer that is one of these classes, or a fault of the provider."""
    classes = tuple(getattr(kind, "__origin__", kind) for kind in get_args(kinds) or (kinds,))
    if not isinstance(answer, classes):
        names = " or ".join(kind.__name__ for kind in classes)
        raise ProviderFault(f"expected a patchcore.provider.{names} but found {answer!r:.200}")
    return encode(answer)


def _answer(kinds: Any) -> Callable[[Any, Any], Any]:
    return lambda answer, given: _is(answer, kinds)


def _per_component(kinds: Any) -> Callable[[Any, Any], Any]:
    """An answer of one of these classes for each component; an exception where it could not be read."""

    def answered(answer: Any, given: list[Any]) -> Any:
        if not isinstance(answer, Mapping):
            raise ProviderFault(f"expected a mapping of components but found {answer!r:.200}")
        return {str(component): one(part) for component, part in answer.items()}

    def one(part: Any) -> Any:
        if isinstance(part, BaseException):
            return {"failed": raised(part)}
        return {"read": _is(part, kinds)}

    return answered


def _listing(answer: Any, given: list[Any]) -> Any:
    plain = _is(answer, p.Listing) | {"scans": {}}
    for sighting in plain["sightings"]:
        sighting.setdefault("at", given[0])
    for component, scan in answer.scans.items():
        is_error = isinstance(scan, BaseException)
        plain["scans"][component] = (
            {"Err": _failure(scan)} if is_error else {"Ok": _is(scan, p.Scan)}
        )
    return plain


def _failure(error: BaseException) -> Any:
    said = raised(error)
    return {key: said[key] for key in ("kind", "message", "hint", "blames") if key in said}


def _nothing(answer: Any, given: list[Any]) -> None:
    return None


def _calls(name: str, given: Any, answered: Any) -> Method:
    return Method(name, given, answered, takes_context=True)


def _operations(request: Any) -> dict[str, Method]:
    return {
        "guarantee": Method("guarantee", _op(request), _answer(p.Guarantee)),
        "undo": Method("undo", _op(request), _answer(p.Undo)),
        "prepare": _calls("prepare", _given(request), _answer(p.Prepared)),
        "begin": _calls("begin", _op(request), _answer(p.Begun)),
        "locate": _calls("locate", _op(request), _answer(p.Located)),
        "observe": _calls("observe", _op(request, p.Handle), _answer(p.Observed)),
    }


NAMES = tuple[str, ...]

METHODS: dict[str, dict[str, Method]] = {
    "inventory": {"list": _calls("listing", _given(), _listing)},
    "source": {"available": _calls("available", _given(NAMES), _per_component(p.Available))},
    "deployer": {
        "scan": _calls("scan", _given(NAMES), _per_component(p.Scan)),
        **_operations(p.DeployRequest),
    },
    "probe": {"probe": _calls("probe", _given(p.ProbeRequest), _answer(p.ProbeAnswer))},
    "lock": {
        "take": _calls("take", _given(str, p.Claim), _answer(p.Taken)),
        "give_back": _calls("give_back", _given(str, int), _nothing),
        "look": _calls(
            "look", _given(str), lambda answer, given: answer and _is(answer, p.Held)
        ),
    },
    "bracket": {
        "held": _calls("held", _given(p.BracketKind, str, NAMES), _per_component(p.Holding)),
        **_operations(p.BracketRequest),
    },
}


def joined(provider: Any) -> Joined:
    """A provider the full way, with what it offers."""
    kind = type(provider).__name__
    ports = provider.ports()
    if not isinstance(ports, p.Ports):
        raise InvalidInput(
            f"{kind}.ports()", expected="a patchcore.provider.Ports", found=repr(ports), operation="estate"
        )
    targets = {name: port for name in METHODS if (port := getattr(ports, name)) is not None}
    for name, port in targets.items():
        missing = sorted(
            method.name
            for method in METHODS[name].values()
            if not callable(getattr(port, method.name, None))
        )
        if missing:
            raise InvalidInput(
                f"{kind}: its {name} port has no {', '.join(missing)}",
                operation="estate",
                hint=f"patchcore.provider.{p.PROTOCOLS[name].__name__} says what each method promises",
            )
    offers: dict[str, Any] = {name: True for name in ("inventory", "source", "lock") if name in targets}
    if "deployer" in targets:
        offers["deployer"] = _is(ports.deployer.capabilities(), p.DeployerCapabilities)  # type: ignore[union-attr]
    if "bracket" in targets:
        offers["bracket"] = _is(ports.bracket.capabilities(), p.BracketCapabilities)  # type: ignore[union-attr]
    if "probe" in targets:
        offers["probe"] = [str(kind) for kind in ports.probe.kinds()]  # type: ignore[union-attr]
    described = {
        "name": str(getattr(provider, "name", None) or kind.lower()),
        "version": str(getattr(provider, "version", "0")),
        "evidence": encode(dict(getattr(provider, "evidence", {}))),
        "offers": offers,
    }
    return Joined(provider, targets, METHODS, described)
