"""A secret that cannot be shown by mistake."""

from __future__ import annotations

import hmac
import os
from typing import NoReturn

from .exceptions import NotFound


class Secret:
    """A password or token: it does not print, and is not pickled or written as JSON. Only ``reveal()`` gives it."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    @classmethod
    def from_env(cls, name: str) -> Secret:
        """From a variable of the environment."""
        text = os.environ.get(name)
        if text is None:
            raise NotFound(f"the variable {name} is not set", hint=f"export {name}, or name a file")
        return cls(text)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Secret:
        """From the first line of a file."""
        try:
            with open(path, encoding="utf-8") as file:
                return cls(file.readline().rstrip("\n"))
        except FileNotFoundError as error:
            raise NotFound(f"there is no file {os.fspath(path)}") from error

    def reveal(self) -> str:
        """The secret itself. Call it where it is used, and keep nothing of it."""
        return self.__text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__text.encode(), other.__text.encode())

    def __hash__(self) -> int:
        return hash(self.__text)

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled: fetch it where it is needed")
