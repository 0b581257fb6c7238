"""Secrets planted in a run over ssh on real guests: a passphrase, the key behind it, a token. None is found anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import ROOT, Lab, lab_of

PASSPHRASE = "s3cr3t-horse-battery"
TOKEN = "t0k3n-staple-correct"

GUESTS = ("host-01", "host-02", "host-03")

#: One package is enough, and one that wants no restart.
ONE = "apt-get -q update && apt-mark hold $(apt-get -s dist-upgrade | awk '/^Inst/ && $2 != \"pc-hello\" {print $2}')"

#: Takes it back, so that there is something to do again.
DOWN = "apt-get -y -q --allow-downgrades install pc-hello=1.0-1"

#: One ring, everything at once, and a check of every guest by HTTP.
POLICY = """
approval.from = ["maria"]
window = [{ name = "any", when = "any time" }]
patches.take = ["security", "bugfix", "enhancement", "other"]
ring = [{ name = "all", select = "*", at_once = "all", soak = "0s" }]
check = [{ select = "*", http = "http://127.0.0.1:PORT/PAGE", steady = "0s", within = "2s" }]
on_fail = { component = "roll_back", tolerate = "0" }
"""


class Fleet:
    """Three guests that let one key in, which lies behind a passphrase and is held by an agent."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder, self.key = lab, folder, folder / "locked"
        keygen: list[str | Path] = ["ssh-keygen", "-q", "-t", "ed25519", "-N", PASSPHRASE, "-C", "ops", "-f", self.key]
        subprocess.run(keygen, check=True)
        for guest in GUESTS:
            lab.inside(guest, ONE)
            lab.inside(guest, "cat >> /etc/ssh/authorized_keys", self.key.with_suffix(".pub").read_bytes())
        # The key without the passphrase is what the agent has in memory, and what nobody else may show.
        shutil.copy(self.key, folder / "open")
        subprocess.run(["ssh-keygen", "-q", "-p", "-P", PASSPHRASE, "-N", "", "-f", folder / "open"], check=True)
        self.planted = [PASSPHRASE, TOKEN, *body(self.key), *body(folder / "open")]
        (folder / "open").unlink()

    def agent(self, passphrase: str | None) -> tuple[subprocess.Popen[bytes], Path]:
        """An agent that was given the key with this passphrase, or nothing."""
        socket = self.folder / "agent"
        socket.unlink(missing_ok=True)
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
        while not socket.exists():
            assert agent.poll() is None
        if passphrase is not None:
            ask = self.folder / "ask"
            # Once: who is asked again after a wrong one gives up.
            ask.write_text(f"#!/bin/sh\nrm -- \"$0\" && echo '{passphrase}'\n")
            ask.chmod(0o700)
            env = {**os.environ, "SSH_AUTH_SOCK": str(socket), "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
            added = subprocess.run(["ssh-add", self.key], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
            assert (added.returncode == 0) == (passphrase == PASSPHRASE), added.stderr
        return agent, socket

    def inventory(self, folder: Path, known_hosts: str | None = None) -> Path:
        """The lab's, with the locked key in place of the lab's own."""
        there = self.lab.inventory.parent
        known = folder / "known_hosts"
        known.write_text((there / "known_hosts").read_text() if known_hosts is None else known_hosts)
        text = self.lab.inventory.read_text().replace('"id_ed25519"', f'"{self.key}"')
        assert str(self.key) in text
        (folder / "inventory.toml").write_text(text)
        return folder / "inventory.toml"


def body(key: Path) -> list[str]:
    """The lines of a private key, but for its frame and its public half."""
    public = key.with_suffix(".pub").read_text().split()[1] if key.with_suffix(".pub").exists() else ""
    return [line for line in key.read_text().splitlines() if "PRIVATE" not in line and line not in public]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with lab_of(3) as lab:
        yield Fleet(lab, tmp_path_factory.mktemp("keys"))


def spilt(fleet: Fleet, folder: Path, *, passphrase: str | None = PASSPHRASE, page: str = "healthz",
          probe: str = "token", leaks: bool = False, known_hosts: str | None = None) -> tuple[str, str]:  # fmt: skip
    """How the run came out, and all that it showed."""
    (folder / "policy.toml").write_text(POLICY.replace("PAGE", page))
    inventory = fleet.inventory(folder, known_hosts)
    agent, socket = fleet.agent(passphrase)
    env = {"SSH_AUTH_SOCK": str(socket), "CHECK_TOKEN": TOKEN, "SSHPASS": PASSPHRASE, "HOME": str(folder)}
    words: list[str | Path] = [sys.executable, ROOT / "bindings/python/tests/spill.py", folder, inventory]
    try:
        done = subprocess.run(
            fleet.lab.enter(*words, probe, "yes" if leaks else "no"),
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=180,
        )
    finally:
        agent.terminate()
        agent.wait()
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "printed").write_text(done.stdout + done.stderr)
    return json.loads(done.stdout), (folder / "shown").read_text()


def found(fleet: Fleet, folder: Path) -> list[str]:
    """Where something of what was planted is: in the journal as bytes, in the log, in what was shown or printed."""
    files = [*folder.glob("run.db*"), folder / "log", folder / "shown", folder / "printed"]
    assert len(files) >= 4 and all(file.stat().st_size for file in files if file.suffix == ".db" or file.name == "shown")
    return [f"{word} in {file.name}" for file in files for word in fleet.planted if word.encode() in file.read_bytes()]


def strangers(lab: Lab) -> str:
    """The host keys of the lab, each under the address of the next: nobody is who they should be."""
    lines = [line.split(" ", 1) for line in (lab.inventory.parent / "known_hosts").read_text().splitlines()]
    return "".join(f"{one[0]} {other[1]}\n" for one, other in zip(lines, [*lines[1:], lines[0]], strict=True))


@pytest.mark.parametrize(
    ("passphrase", "says"),
    [(None, "it has a passphrase"), ("wrong-" + PASSPHRASE, "it has a passphrase")],
)
def test_a_key_that_stays_locked(passphrase: str | None, says: str, fleet: Fleet, tmp_path: Path) -> None:
    came, shown = spilt(fleet, tmp_path, passphrase=passphrase)
    assert came == "nothing to do" and says in shown, shown[-2000:]
    assert found(fleet, tmp_path) == []


def test_a_host_that_is_another(fleet: Fleet, tmp_path: Path) -> None:
    came, shown = spilt(fleet, tmp_path, known_hosts=strangers(fleet.lab))
    assert came == "nothing to do" and "host key" in shown, shown[-2000:]
    assert found(fleet, tmp_path) == []


def test_a_host_that_refuses_the_key(fleet: Fleet, tmp_path: Path) -> None:
    for guest in GUESTS:
        fleet.lab.inside(guest, "cp -p /etc/ssh/authorized_keys /etc/ssh/kept_keys; : > /etc/ssh/authorized_keys")
    try:
        came, shown = spilt(fleet, tmp_path)
    finally:
        for guest in GUESTS:
            fleet.lab.inside(guest, "cp -p /etc/ssh/kept_keys /etc/ssh/authorized_keys")
    assert came == "nothing to do" and "refused" in shown, shown[-2000:]
    assert found(fleet, tmp_path) == []


@pytest.mark.parametrize(
    ("probe", "page", "says"),
    [
        # The server sends the built-in check to a login page, with a token in the address; it refuses an author's own.
        ("http", "login", "sso.example/login"),
        ("token", "nothing", "403, asked with ***"),
    ],
)
def test_a_check_that_fails_and_a_rollback(probe: str, page: str, says: str, fleet: Fleet, tmp_path: Path) -> None:
    came, shown = spilt(fleet, tmp_path, probe=probe, page=page)
    assert came != "done" and says in shown, shown[-3000:]
    assert found(fleet, tmp_path) == []


def test_a_run_shows_nothing_of_its_keys(fleet: Fleet, tmp_path: Path) -> None:
    came, shown = spilt(fleet, tmp_path)
    assert came == "done" and "3 planned = 3 done" in shown, shown[-2000:]
    assert "events pickled" in shown and "report._repr_html_" in shown and "a live run is not pickled" in shown
    assert found(fleet, tmp_path) == []


def test_a_planted_leak_is_found(fleet: Fleet, tmp_path: Path) -> None:
    """The search finds one: a check that puts what the server answered into its own answer."""
    for guest in GUESTS:
        fleet.lab.inside(guest, DOWN)
    came, _ = spilt(fleet, tmp_path, leaks=True)
    assert came == "done"
    leaks = found(fleet, tmp_path)
    assert {f"{TOKEN} in {name}" for name in ("run.db", "shown")} <= set(leaks), leaks
    assert all(leak.startswith(TOKEN) for leak in leaks)
