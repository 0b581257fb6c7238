"""VMware vSphere: a vCenter that is looked through, and its clusters as providers.

:class:`VCenter` asks nobody before its first call. ``vcenter.cluster("prod")`` gives the provider of one cluster for an
``Estate``; ``vcenter.checkup()`` says what one owns, and changes nothing.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn, Union

from typing_extensions import Self

from . import _native
from ._calls import wait
from ._cluster import Cluster
from ._decode import build, convert
from ._native import VsphereCluster
from ._secret import Secret
from ._wire import Value, variant
from .words import _Word

__all__ = [
    "AsyncVCenter",
    "Checkup",
    "ClusterCheckup",
    "ClusterRead",
    "HostCheckup",
    "MayLose",
    "MayLoseEach",
    "MayNotLoseAll",
    "MayNotSay",
    "OldSnapshot",
    "Paths",
    "Scheduled",
    "Stays",
    "Support",
    "SupportKind",
    "VCenter",
    "VsphereCluster",
]


@variant("each")
@dataclass(frozen=True)
class MayLoseEach(Value):
    """A roll of all hosts was found."""

    moves: int
    """How many machines it moves."""
    moved_mib: int
    """How much memory it copies."""
    makespan_ms: int
    """How long it takes."""


@variant("not_all")
@dataclass(frozen=True)
class MayNotLoseAll(Value):
    """These hosts cannot be emptied; where none is named, each alone can and all in turn cannot."""

    hosts: tuple[tuple[str, str], ...]
    """Each with the reason."""
    why: str
    """What stands in the way of the whole roll."""


@variant("unknown")
@dataclass(frozen=True)
class MayNotSay(Value):
    """It cannot be said: something that counts is unknown."""

    why: str
    """What."""


MayLose = Union[MayLoseEach, MayNotLoseAll, MayNotSay]
"""Whether a cluster can do without each of its hosts."""


@dataclass(frozen=True)
class Paths(Value):
    """Paths of a host to its storage."""

    all: int
    """How many there are."""
    down: tuple[str, ...]
    """Those that are neither active nor in standby."""
    single: int
    """Devices that were reached by several paths and are by one at most."""
    one_adapter: int
    """Devices that are reached by several paths, all through one adapter of the host."""
    one_port: int
    """The same of one port of the storage."""


@dataclass(frozen=True)
class HostCheckup(Value):
    """A host as one look found it."""

    id: str
    version: str | None = field(metadata={"always": True})
    """None where the vCenter does not say."""
    booted: datetime | None = field(metadata={"always": True})
    """When it was started last."""
    connected: bool
    """Whether the vCenter reaches it."""
    in_maintenance: bool
    """Whether it is in maintenance mode, or may be."""
    paths: Paths | None = field(metadata={"always": True})
    """Its paths to storage; None where the vCenter does not say."""


@dataclass(frozen=True)
class Stays(Value):
    """A machine that cannot leave its host while it runs."""

    vm: str
    host: str
    why: str


@dataclass(frozen=True)
class OldSnapshot(Value):
    """A snapshot that is kept for long."""

    vm: str
    name: str
    hours: int
    """How old it is."""


class SupportKind(_Word):
    """What a supporting component does for hosts."""

    DNS = "dns"
    NTP = "ntp"
    DOMAIN = "domain"


@dataclass(frozen=True)
class Support(Value):
    """A supporting component of hosts."""

    kind: SupportKind
    name: str
    """Its address or name, as the hosts have it."""
    hosts: tuple[str, ...]
    """Who relies on it."""
    machine: str | None = field(metadata={"always": True})
    """The machine of this vCenter that has this address or name; None: nobody that is seen here patches it."""


@dataclass(frozen=True)
class Scheduled(Value):
    """A task that the vCenter begins by itself."""

    name: str
    calls: str
    """The method that it calls."""


@dataclass(frozen=True)
class ClusterCheckup(Value):
    """A cluster as one look found it."""

    name: str
    hosts: tuple[HostCheckup, ...]
    running: int
    """How many of its machines run."""
    may_lose: MayLose
    """Whether it can do without each of its hosts."""
    by_image: bool | None = field(metadata={"always": True})
    """Whether its hosts are patched by images; None where the vCenter does not say."""
    acts_itself: tuple[str, ...]
    """Who else moves machines or switches hosts here."""
    pinned: tuple[Stays, ...]
    """Machines that cannot leave their host."""
    old_snapshots: tuple[OldSnapshot, ...]
    """Snapshots of more than 72 hours, the oldest first."""
    not_modelled: tuple[str, ...]
    """What of the cluster the planner does not know of."""
    missing_rights: tuple[str, ...]
    """Rights for a roll that the user lacks."""


@dataclass(frozen=True, repr=False)
class Checkup(Value):
    """A vCenter as one look found it. ``str`` of it is the text for people, as ``vsphere_doctor`` prints it."""

    vcenter: str
    """Its name and version."""
    api_version: str
    """The version of its API."""
    at: datetime
    """When it was looked at, by its own clock."""
    in_order: bool
    """Whether every cluster can do without each of its hosts, and nobody lacks a right."""
    clusters: tuple[ClusterCheckup, ...]
    supports: tuple[Support, ...]
    """What the hosts rely on."""
    scheduled: tuple[Scheduled, ...]
    """Enabled tasks that the vCenter begins by itself."""
    not_seen: tuple[str, ...]
    """What could not be looked at, and why."""
    _text: str = field(default="", compare=False, metadata={"place": True})

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as ``vsphere_doctor --json`` prints it."""
        plain: dict[str, Any] = super().to_dict()
        del plain["_text"]
        return plain

    def __str__(self) -> str:
        return self._text or repr(self)

    def __repr__(self) -> str:
        return f"<Checkup of {self.vcenter}: {'in order' if self.in_order else 'look at it'}>"


@dataclass(frozen=True)
class ClusterRead(Value):
    """What was read of a cluster."""

    cluster: Cluster
    """What a roll is planned from."""
    pinned: tuple[Stays, ...]
    """Machines that cannot leave their host."""
    not_modelled: tuple[str, ...]
    """What of the cluster the planner does not know of."""


class _VCenterFace:
    """What asks nobody, and is the same in both faces."""

    __slots__ = ("_native",)

    def __init__(
        self,
        *,
        server: str,
        user: str,
        password: Secret | str | None = None,
        password_file: str | os.PathLike[str] | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        fingerprint: str | None = None,
        deadline: timedelta | str | None = None,
        memory: str | None = None,
    ) -> None:
        """Say which vCenter, as whom, and whom to believe; nobody is asked anything yet.

        ``server`` is a host, with a port where that is not 443. Exactly one of ``password`` and ``password_file`` is
        given; the file is read at each login. ``ca_file`` is a PEM file that is trusted beside what this machine
        trusts, ``fingerprint`` the SHA-256 of the one certificate that is. ``deadline`` bounds a call, default 60 s;
        ``memory`` says what of a machine's memory counts: ``configured`` (the default) or ``held``.
        """
        self._native = _native.VCenter(
            server=server,
            user=user,
            password=password,
            password_file=password_file,
            ca_file=ca_file,
            fingerprint=fingerprint,
            deadline=deadline,
            memory=memory,
        )

    @classmethod
    def _of(cls, native: _native.VCenter) -> Self:
        face = cls.__new__(cls)
        face._native = native
        return face

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """By a TOML or JSON file with the keyword arguments as its keys; a relative path begins at its folder."""
        return cls._of(_native.VCenter.from_file(path))

    @classmethod
    def from_env(cls, prefix: str = "PATCHCORE_VSPHERE_") -> Self:
        """By variables: ``PATCHCORE_VSPHERE_SERVER``, ``…_USER``, ``…_PASSWORD`` or ``…_PASSWORD_FILE``, and so on."""
        return cls._of(_native.VCenter.from_env(prefix))

    @property
    def address(self) -> str:
        """Where calls go. It holds no secret."""
        return self._native.address

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a connection is not pickled: make it where it is needed")


class VCenter(_VCenterFace):
    """A vCenter. It is connected to by the first call, and a login that ended is renewed."""

    __slots__ = ()

    def full_name(self) -> str:
        """Its name and version, such as ``VMware vCenter Server 8.0.3 build-24022515``."""
        name: str = self._native.full_name().wait()
        return name

    def clusters(self) -> tuple[str, ...]:
        """The names of its clusters."""
        return tuple(json.loads(self._native.clusters().wait()))

    def cluster(self, name: str, *, provider: str = "vsphere") -> VsphereCluster:
        """A cluster, for an estate. Where an estate has several, each is a ``provider`` of its own name."""
        cluster: VsphereCluster = self._native.cluster(name, provider).wait()
        return cluster

    def read_cluster(self, cluster: VsphereCluster) -> ClusterRead:
        """What a roll of a cluster is planned from, as it is now."""
        return _read(cluster._read().wait())

    def checkup(self, *, transcript: str | os.PathLike[str] | None = None) -> Checkup:
        """Look through everything that bears on a roll; nothing is changed.

        ``transcript`` names a file for what the vCenter answered, with stand-ins for all names, addresses and texts:
        look through it, and who gets it has a test. It is read by a login of its own.
        """
        return _checkup(self._native.checkup(transcript is not None).wait(), transcript)

    def log_out(self) -> None:
        """End the logins. A later call logs in again."""
        self._native.log_out().wait()


class AsyncVCenter(_VCenterFace):
    """``VCenter`` for programs with an event loop: the same methods, to be awaited."""

    __slots__ = ()

    async def full_name(self) -> str:
        """Its name and version. As ``VCenter.full_name``."""
        name: str = await wait(self._native.full_name())
        return name

    async def clusters(self) -> tuple[str, ...]:
        """The names of its clusters."""
        return tuple(json.loads(await wait(self._native.clusters())))

    async def cluster(self, name: str, *, provider: str = "vsphere") -> VsphereCluster:
        """A cluster, for an estate. As ``VCenter.cluster``."""
        cluster: VsphereCluster = await wait(self._native.cluster(name, provider))
        return cluster

    async def read_cluster(self, cluster: VsphereCluster) -> ClusterRead:
        """What a roll of a cluster is planned from, as it is now."""
        return _read(await wait(cluster._read()))

    async def checkup(self, *, transcript: str | os.PathLike[str] | None = None) -> Checkup:
        """Look through everything that bears on a roll; nothing is changed.

        ``transcript`` names a file for what the vCenter answered, with stand-ins for all names, addresses and texts:
        look through it, and who gets it has a test. It is read by a login of its own.
        """
        return _checkup(await wait(self._native.checkup(transcript is not None)), transcript)

    async def log_out(self) -> None:
        """End the logins. A later call logs in again."""
        await wait(self._native.log_out())


def _read(text: str) -> ClusterRead:
    read: ClusterRead = convert(ClusterRead, json.loads(text))
    return read


def _checkup(said: tuple[str, str, str | None], file: str | os.PathLike[str] | None) -> Checkup:
    text, plain, answered = said
    if file is not None and answered is not None:
        with open(file, "w", encoding="utf-8", newline="\n") as transcript:
            transcript.write(answered)
    return build(Checkup, json.loads(plain), _text=text)
