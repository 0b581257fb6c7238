"""The journal, for both faces."""

from __future__ import annotations

import os
from typing import NoReturn

from . import _native
from ._calls import wait


class Journal:
    """What runs record, in one file: opened, and made where there is none. One process at a time drives it.

    ``Journal.in_memory()`` lasts as long as this process.
    """

    __slots__ = ("_native",)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._native: _native.Journal = _native.Journal.open(path).wait()

    @classmethod
    def in_memory(cls) -> Journal:
        """A journal that lasts as long as this process, for trying things."""
        journal = cls.__new__(cls)
        journal._native = _native.Journal.in_memory().wait()
        return journal

    @staticmethod
    def holder(path: str | os.PathLike[str]) -> _native.Holder | None:
        """Who holds a journal: the process that has it open, on which machine, and since when. None where nobody does."""
        holder: _native.Holder | None = _native.Journal.holder(path).wait()
        return holder

    @classmethod
    def take_over(
        cls, path: str | os.PathLike[str], holder: _native.Holder, *, by: str, reason: str
    ) -> Journal:
        """Take a journal over from a process that still holds it, because it was stopped or hangs.

        ``holder`` is who holds it, as :meth:`holder` told it: whoever holds it by now must be the same. The process
        that was replaced records and begins nothing any more. Where that process can be ended, end it, and open the
        journal as always.
        """
        journal = cls.__new__(cls)
        journal._native = _native.Journal.take_over(path, holder, by, reason).wait()
        return journal

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._native.closed

    def close(self) -> None:
        """Bring what runs to a safe point, and close. What holds a run of it can ask nothing any more."""
        self._native.close().wait()

    async def aclose(self) -> None:
        """As ``close``, in an event loop."""
        await wait(self._native.close())

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def __aenter__(self) -> Journal:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<Journal {self._native.place}{', closed' if self.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a journal is open in one process: pass its path, and open it there")
