"""Secrets planted in every credential are found nowhere."""

from __future__ import annotations

import logging
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lb
import patchcore as pc
import rack
from patchcore import provider as p

SECRET = "s3cr3t-horse-battery"


class Keeps(rack.Blocking):
    """A provider with a credential in it, that stumbles with it in its hands."""

    def __init__(self, folder: Path, breaks: bool) -> None:
        super().__init__(folder)
        self.password, self.breaks = pc.Secret(SECRET), breaks

    def begin(self, ctx: p.Context, op: p.Op[p.DeployRequest]) -> p.Begun:
        token = self.password.reveal()
        assert token == SECRET
        if self.breaks:
            raise pc.exceptions.Unreachable(f"login as {self.password!r} with {self.password} failed")
        return super().begin(ctx, op)


@pytest.mark.parametrize("breaks", [False, True])
def test_a_secret_is_found_nowhere(breaks: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = tmp_path / "run.db"
    shown: list[str] = []
    with caplog.at_level(logging.DEBUG):
        provider = Keeps(tmp_path, breaks)
        run = lb.begun(provider, pc.Journal(journal))
        standing = run.finished()
        events = list(run.events())
        shown += [repr(provider.password), str(provider.password), f"{provider.password}", repr(vars(provider))]
        shown += [str(standing), str(run.report()), run.report().to_json(), run.plan.to_json(), str(run.plan)]
        shown += [repr(e) for e in events] + [str(e) for e in events] + [str(e.to_dict()) for e in events]
        shown += [run.why("lb-1"), *run.ledger(), *run.lines()]
        for value in (run.report(), run.plan, *events):
            shown.append(repr(pickle.dumps(value)))
    shown += [record.getMessage() + str(record.exc_info) for record in caplog.records]
    assert [text for text in shown if SECRET in text] == []
    assert any("***" in text for text in shown)
    for file in tmp_path.glob("run.db*"):
        assert SECRET.encode() not in file.read_bytes(), file
    with pytest.raises(TypeError, match="a secret is not pickled"):
        pickle.dumps(provider.password)
    with pytest.raises(TypeError, match="a secret is not pickled"):
        pickle.dumps(provider)


def test_a_planted_leak_is_seen(tmp_path: Path) -> None:
    """The search above would find one: a provider that puts its secret into a handle."""

    class Leaks(Keeps):
        def begun(self, op: p.Op[p.DeployRequest]) -> p.Begun:
            super().begun(op)
            return p.Started(p.Handle(1, {"job": op.token, "as": self.password.reveal()}))

    run = lb.begun(Leaks(tmp_path, False), pc.Journal(tmp_path / "run.db"))
    run.finished()
    assert any(SECRET in repr(event) for event in run.events())
    assert any(SECRET.encode() in file.read_bytes() for file in tmp_path.glob("run.db*"))


def test_a_secret_comes_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOL_PASSWORD", SECRET)
    (tmp_path / "password").write_text(SECRET + "\n")
    assert pc.Secret.from_env("TOOL_PASSWORD").reveal() == SECRET
    assert pc.Secret.from_file(tmp_path / "password").reveal() == SECRET
    assert pc.Secret(SECRET) == pc.Secret(SECRET) != pc.Secret("other")
    with pytest.raises(pc.exceptions.NotFound, match="TOOL_PASSWORT is not set"):
        pc.Secret.from_env("TOOL_PASSWORT")
    with pytest.raises(pc.exceptions.NotFound, match="nothing"):
        pc.Secret.from_file(tmp_path / "nothing")


def spoken(action: Callable[[], Any]) -> list[str]:
    """All that an action shows, also where it fails."""
    try:
        value = action()
    except pc.Error as error:
        fields = [error.message, error.hint, error.subject, *error.context.values(), error.__cause__, error.args]
        return [str(error), repr(error), *map(str, fields), repr(vars(error)), repr(pickle.dumps(error))]
    shown = [str(value), repr(value)]
    if hasattr(value, "to_json"):
        shown.append(value.to_json())
    return [*shown, repr(pickle.dumps(value))]


def test_the_keys_of_a_fleet_are_found_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private key that is a key, with a comment, and one that is only a secret; a passphrase in the environment."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", SECRET, "-f", tmp_path / "good"], check=True
    )
    (tmp_path / "bad").write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----\n")
    (tmp_path / "known_hosts").write_text(f"127.0.0.1 ssh-ed25519 {SECRET}\n")
    planted = [line for line in (tmp_path / "good").read_text().splitlines() if "PRIVATE" not in line]
    monkeypatch.setenv("SSHPASS", SECRET)
    monkeypatch.chdir(tmp_path)
    policy = pc.Policy.from_toml('approval.from = ["maria"]\nwindow = [{ name = "w", when = "any time" }]')
    hosts = [{"name": f"web-{n}", "address": "127.0.0.1", "port": 1, "identity": i} for n, i in enumerate(("good", "bad"))]
    shown: list[str] = []
    with caplog.at_level(logging.DEBUG), pc.Journal(tmp_path / "run.db") as journal:
        fleet = pc.Linux.fleet(hosts, defaults={"user": "op", "known_hosts": "known_hosts"})
        estate = pc.Estate("fleet", [fleet])
        shown += [repr(fleet), repr(estate), repr(journal)]
        shown += spoken(estate.discover)
        shown += spoken(lambda: estate.plan(policy, requested_by="sam", history=journal))
        plan = estate.plan(policy, requested_by="sam")
        shown += spoken(lambda: plan.explain("web-0")) + spoken(lambda: plan.explain("web-1"))
    shown += [record.getMessage() + str(record.exc_info) for record in caplog.records]
    assert "web-1" in "".join(shown), "nothing was asked"
    assert [text for text in shown for word in (SECRET, *planted) if word in text] == []
    for file in tmp_path.glob("run.db*"):
        assert not any(word.encode() in file.read_bytes() for word in (SECRET, *planted)), file


def test_a_login_in_a_url_is_refused_and_not_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def policy(url: str) -> pc.Policy:
        return pc.Policy.from_dict(
            {
                "approval": {"from": ["maria"]},
                "window": [{"name": "w", "when": "any time"}],
                "check": [{"select": "*", "http": url}],
            }
        )

    toml = f'[[check]]\nselect = "*"\nhttp = "https://op:{SECRET}@web-1/"\n'
    (tmp_path / "policy.toml").write_text(toml)
    ways: list[Callable[[], Any]] = [
        lambda: policy(f"https://op:{SECRET}@web-1/"),
        lambda: policy(f"https://{SECRET}@web-1/"),
        lambda: policy(f"ftp://op:{SECRET}@web-1/"),
        lambda: pc.Policy.from_toml(toml),
        lambda: pc.Policy.from_file(tmp_path / "policy.toml"),
        lambda: pc.Http(redirects=f"https://op:{SECRET}@web-1/"),
    ]
    with caplog.at_level(logging.DEBUG):
        for way in ways:
            with pytest.raises(pc.exceptions.InvalidInput):
                way()
            assert [text for text in spoken(way) if SECRET in text] == []
    assert [record for record in caplog.records if SECRET in record.getMessage()] == []


def test_a_certificate_file_is_not_shown(tmp_path: Path) -> None:
    """Who names a private key in place of a certificate does not find it in the answer."""
    (tmp_path / "ca.pem").write_text(f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n")
    with pytest.raises(pc.exceptions.InvalidInput):
        pc.Http(ca_file=tmp_path / "ca.pem")
    assert [text for text in spoken(lambda: pc.Http(ca_file=tmp_path / "ca.pem")) if SECRET in text] == []
