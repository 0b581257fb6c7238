"""What every call of a provider gets."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from . import _native
from ._calls import wait


class Context:
    """Time, deadline, cancellation, key and fence of one call, and a way to tell how far it is."""

    __slots__ = ("_native",)

    def __init__(self, native: _native.Context) -> None:
        self._native = native

    def now(self) -> datetime:
        """The time now, by the estate's clock. Ask no other, so that virtual time works."""
        return self._native.now()

    @property
    def deadline(self) -> datetime:
        """When the call must have returned."""
        return self._native.deadline

    def time_left(self) -> timedelta:
        """Time left until the deadline."""
        return self._native.time_left()

    def is_cancelled(self) -> bool:
        """Whether the caller asks to stop at the next safe point."""
        return self._native.is_cancelled()

    def check(self) -> None:
        """Raise :class:`~patchcore.exceptions.Cancelled` if the caller asks to stop."""
        self._native.check()

    @property
    def key(self) -> str | None:
        """The key of the operation; stable over retries and restarts. None for reading calls."""
        return self._native.key

    @property
    def fence(self) -> int:
        """Grows with every takeover of the journal: a target with compare-and-set refuses a lower one."""
        return self._native.fence

    def progress(self, message: str | None = None, *, percent: int | None = None) -> None:
        """Tell how far the call is."""
        self._native.progress(message, percent)

    async def sleep(self, how_long: timedelta | str) -> None:
        """Wait, in a method with ``async def``. Wait by this and nothing else, so that virtual time works."""
        await wait(self._native.sleep(how_long))

    def sleep_blocking(self, how_long: timedelta | str) -> None:
        """Wait, in a method with ``def``."""
        self._native.sleep(how_long).wait()

    def __repr__(self) -> str:
        return f"<Context key={self.key} fence={self.fence} deadline={self.deadline:%FT%TZ}>"

    def __reduce__(self) -> Any:
        raise TypeError("a context belongs to one call and is not pickled")
