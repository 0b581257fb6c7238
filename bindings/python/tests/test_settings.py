"""Settings of the providers that are built in: keyword arguments, a file and the environment say the same."""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import patchcore as pc
from patchcore import _native

CHOSEN = {
    "name": "web-1",
    "labels": {"site": "north", "tier": "web"},
    "owner": "dana",
    "lock_wait": "1m30s",
}


def found(linux: pc.Linux) -> tuple[str, Any]:
    """The machine as the estate sees it."""
    inventory = pc.Estate("here", [linux]).discover()
    (name,) = inventory
    return name, inventory[name]


@pytest.mark.skipif(not Path("/usr/bin/dpkg").exists(), reason="this machine is no Debian")
def test_this_machine_by_keywords_file_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "machine.toml").write_text(
        'name = "web-1"\nlabels = { site = "north", tier = "web" }\nowner = "dana"\nlock_wait = "1m30s"\n'
    )
    (tmp_path / "machine.json").write_text(json.dumps(CHOSEN))
    monkeypatch.setenv("PATCHCORE_LINUX_NAME", "web-1")
    monkeypatch.setenv("PATCHCORE_LINUX_LABELS", "tier=web, site=north")
    monkeypatch.setenv("PATCHCORE_LINUX_OWNER", "dana")
    monkeypatch.setenv("PATCHCORE_LINUX_LOCK_WAIT", "90s")
    ways = [
        pc.Linux(name="web-1", labels={"site": "north", "tier": "web"}, owner="dana", lock_wait="90s"),
        pc.Linux.this_machine_from_file(tmp_path / "machine.toml"),
        pc.Linux.this_machine_from_file(tmp_path / "machine.json"),
        pc.Linux.from_env(),
    ]
    assert [repr(way) for way in ways[:3]] == ["<Linux this machine, web-1>"] * 3
    # The machine is asked by the two that were written last: asking takes seconds.
    for way in ways[2:]:
        name, known = found(way)
        assert (name, known["owner"]) == ("web-1", "dana")
        assert (known["labels"]["tier"], known["labels"]["site"]) == ("web", "north")


FLEET = {
    "defaults": {"user": "op", "known_hosts": "known_hosts", "identity": "id", "labels": {"site": "north"}},
    "host": [{"name": "web-1", "address": "127.0.0.1", "port": 1}, {"name": "web-2", "address": "127.0.0.1", "port": 2}],
}


def names(linux: pc.Linux) -> list[str]:
    """The machines, none of which is there."""
    policy = pc.Policy.from_toml('approval.from = ["maria"]\nwindow = [{ name = "w", when = "any time" }]')
    text = str(pc.Estate("fleet", [linux]).plan(policy, requested_by="sam"))
    return [name for name in ("web-1", "web-2") if name in text]


def test_a_fleet_by_keywords_file_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("known_hosts", "id"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fleet.json").write_text(json.dumps({"inventory": 1, **FLEET}))
    monkeypatch.setenv("PATCHCORE_LINUX_INVENTORY", "fleet.json")
    for way in (
        pc.Linux.from_file("fleet.json"),
        pc.Linux.from_env(),
        pc.Linux.fleet(FLEET["host"], defaults=FLEET["defaults"]),  # type: ignore[arg-type]
    ):
        assert names(way) == ["web-1", "web-2"]
    monkeypatch.setenv("PATCHCORE_LINUX_OWNER", "dana")
    with pytest.raises(pc.exceptions.InvalidInput, match="PATCHCORE_LINUX_OWNER is about this machine alone"):
        pc.Linux.from_env()


@pytest.fixture
def moved() -> Iterator[str]:
    """A health page that lives elsewhere on its host."""

    class Moved(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/up" else 302)
            if self.path != "/up":
                self.send_header("Location", "/up")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Moved)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/healthz"
    server.shutdown()
    server.server_close()


def outcome(http: pc.Http, url: str) -> str:
    """The report on a roll-out whose component is asked by this provider."""
    sim = pc.Sim("2026-12-07T14:00:00Z").guest("web-1", packages={"nginx": "1"})
    sim.publish(pc.Patch("nginx", "2", patch_class="security"))
    policy = pc.Policy.from_toml(
        'approval.from = ["maria"]\nwindow = [{ name = "w", when = "any time" }]\n'
        f'check = [{{ select = "*", http = "{url}", within = "2s", steady = "0s" }}]\n'
        'ring = [{ name = "all", select = "*", soak = "0s" }]'
    )
    estate = pc.Estate("lab", [sim, http])
    plan = estate.plan(policy, requested_by="sam")
    run = estate.run(plan.approve(plan.approval("maria")), pc.Journal.in_memory())
    run.finished()
    return str(run.report())


def test_http_checks_by_keywords_file_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: str
) -> None:
    (tmp_path / "http.toml").write_text('redirects = "same_host"\n')
    monkeypatch.setenv("PATCHCORE_HTTP_REDIRECTS", "same_host")
    ways = [
        pc.Http(redirects="same_host"),
        pc.Http.from_file(tmp_path / "http.toml"),
        pc.Http.from_env(),
    ]
    assert len(set(ways)) == 1 and repr(ways[0]) == 'Http(redirects="same_host")'
    assert "1 planned = 1 done" in outcome(ways[2], moved)
    assert "not followed: another page" in outcome(pc.Http(), moved)
    monkeypatch.setenv("SHOP_REDIRECTS", "same_page")
    assert pc.Http.from_env("SHOP_") == pc.Http()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: pc.Http(redirects="anywhere"), 'Http#/redirects: redirects = "anywhere"'),
        (lambda: pc.Linux(name="web 1", lock_wait="soon"), "cannot be read"),
        (lambda: pc.Linux(name="web 1", state="srv"), "2 mistakes"),
        (lambda: pc.Linux.fleet([{"nmae": "web-1"}]), 'did you mean "name"?'),
        (lambda: pc.Linux.fleet([]), "names no machine"),
        (lambda: pc.Linux.from_env("BAD_"), 'BAD_NMAE: unknown key "nmae"'),
        (lambda: pc.Http.from_env("BAD_"), 'BAD_NMAE: unknown key "nmae"'),
        (lambda: pc.VCenter.from_env("BAD_"), 'BAD_NMAE: unknown key "nmae"'),
        (lambda: pc.VCenter(server="vc/ui", user="u"), "2 mistakes"),
    ],
)
def test_a_mistake_is_answered_before_anything_is_read(
    make: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAD_NMAE", "web-1")
    with pytest.raises(pc.exceptions.InvalidInput) as error:
        make()  # type: ignore[operator]
    assert said in str(error.value), error.value


@pytest.mark.parametrize(
    ("provider", "way", "prefix", "needed"),
    [
        (pc.Linux, pc.Linux.from_env, "PATCHCORE_LINUX_", ()),
        (pc.Http, pc.Http.from_env, "PATCHCORE_HTTP_", ()),
        (pc.VCenter, pc.VCenter.from_env, "PATCHCORE_VSPHERE_", ("SERVER", "USER", "PASSWORD")),
    ],
)
def test_keywords_are_the_words_of_the_core(
    provider: type[object], way: object, prefix: str, needed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The core names all its words where one is unknown; the keyword arguments are these and no others."""
    for word in ("XXXXXX", *needed):
        monkeypatch.setenv(f"{prefix}{word}", "1")
    with pytest.raises(pc.exceptions.InvalidInput) as error:
        way()  # type: ignore[operator]
    (line,) = [line for line in str(error.value).splitlines() if "expected one of: " in line]
    known = line.split("expected one of: ")[1].split(", ")
    stub = inspect.signature(provider)
    assert list(stub.parameters) == known
    assert _native.__name__ == "patchcore._native"
