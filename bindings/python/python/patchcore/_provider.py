"""Providers the short way."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from datetime import timedelta
from typing import Any, TypeVar, Union

from ._joined import Joined, Method
from ._wire import encode
from .exceptions import InvalidInput, ProviderFault
from .values import Component, Installed, Patch
from .words import PatchClass

_T = TypeVar("_T")
Maybe = Union[_T, Awaitable[_T]]
"""A result, or an awaitable of it: methods may be ``def`` or ``async def``."""


class SimpleProvider:
    """A provider the short way: what is there, and make it so. Methods may be ``def`` or ``async def``.

    Coroutines run in an event loop of the provider's own, so clients that belong to a loop are made inside of them. A
    method that blocks keeps a thread and holds up nobody. What it raises fails its call and not the run; raise one of
    :mod:`patchcore.exceptions` where you know more than that it failed. An apply that is left by any exception but
    such an answer of the tool counts as *nobody knows*, and is judged by the next scans after ``quiet_after``.
    """

    name: str
    """What the estate calls it. Default the name of the class in lower case."""
    version: str = "0"
    """Its version, for the plan."""
    quiet_after: timedelta | None
    """The one honest question: an apply whose caller died has stopped by then. None: nobody knows, and a person decides."""
    patch_class: PatchClass | str = PatchClass.BUGFIX
    """What a patch is for that says no class: whoever names the version that a tool is to put in means it to go in."""

    def components(self) -> Maybe[Iterable[Component]]:
        """What is there."""
        raise NotImplementedError

    def available(self, component: Component) -> Maybe[Iterable[Patch]]:
        """What is on offer for a component."""
        raise NotImplementedError

    def scan(self, component: Component) -> Maybe[Installed]:
        """What is installed on it."""
        raise NotImplementedError

    def apply(self, component: Component, patch: Patch) -> Maybe[None]:
        """Put one patch in, and return when it is in."""
        raise NotImplementedError


def joined(provider: object) -> Joined:
    """A provider the short way, with its name, its version and its honest answer."""
    kind = type(provider).__name__
    missing = [name for name in METHODS if not callable(getattr(provider, name, None))]
    if missing:
        raise InvalidInput(
            f"{kind} is no provider: it has no {', '.join(missing)}",
            operation="estate",
            hint="give the estate a Sim, a Linux, an object with the methods of SimpleProvider, or one with ports()",
        )
    try:
        quiet_after = provider.quiet_after  # type: ignore[attr-defined]
    except AttributeError:
        raise InvalidInput(
            f"{kind} does not say quiet_after: an apply whose caller died has stopped after how long?",
            operation="estate",
            hint="set quiet_after to a timedelta, or to None where nobody knows and a person decides",
        ) from None
    if quiet_after is not None and not isinstance(quiet_after, timedelta):
        raise InvalidInput(
            f"{kind}.quiet_after",
            expected="a timedelta or None",
            found=repr(quiet_after),
            operation="estate",
        )
    try:
        patch_class = PatchClass(getattr(provider, "patch_class", SimpleProvider.patch_class))
    except ValueError:
        raise InvalidInput(
            f"{kind}.patch_class",
            expected=f"one of: {', '.join(PatchClass)}",
            found=repr(getattr(provider, "patch_class", None)),
            operation="estate",
        ) from None
    described = {
        "name": str(getattr(provider, "name", None) or kind.lower()),
        "version": str(getattr(provider, "version", "0")),
        "quiet_after": None if quiet_after is None else quiet_after.total_seconds(),
        "patch_class": patch_class,
    }
    return Joined(provider, {"simple": provider}, {"simple": METHODS}, described)


def one(answer: Any, kind: type[_T]) -> _T:
    """An answer of a class, or a fault of the provider."""
    if not isinstance(answer, kind):
        raise ProviderFault(f"expected a patchcore.{kind.__name__} but found {answer!r:.200}")
    return answer


def several(answer: Any, kind: type[_T]) -> list[_T]:
    """Answers of a class, or a fault of the provider."""
    if not isinstance(answer, Iterable):
        raise ProviderFault(f"expected patchcore.{kind.__name__} values but found {answer!r:.200}")
    return [one(part, kind) for part in answer]


def _component(given: list[Any]) -> tuple[Component]:
    return (Component.from_dict(given[0]),)


def _to_apply(given: list[Any]) -> tuple[Component, Patch]:
    change = given[1]
    patch = Patch(change["patch"], change["to"], change.get("from"), pin=_pin(change["pin"]))
    return Component.from_dict(given[0]), patch


def _pin(plain: Any) -> Any:
    from ._decode import convert
    from .values import Pin

    return convert(Pin, plain)


METHODS = {
    "components": Method(
        "components",
        lambda given: (),
        lambda answer, given: [{"at": given[0]} | encode(c) for c in several(answer, Component)],
    ),
    "available": Method(
        "available", _component, lambda answer, given: [encode(p) for p in several(answer, Patch)]
    ),
    "scan": Method("scan", _component, lambda answer, given: encode(one(answer, Installed))),
    "apply": Method("apply", _to_apply, lambda answer, given: None),
}
