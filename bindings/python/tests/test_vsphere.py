"""Clusters of a vCenter: looked through, planned and rolled, with the same words as in Rust."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import patchcore as pc
from patchcore import roll, vsphere
from vcenter_stand import CLUSTER, PASSWORD, USER, Stand, program

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples/python"
POLICY = ROOT / "examples/policies/hosts.toml"


def needed() -> None:
    try:
        program()
    except FileNotFoundError as error:
        pytest.skip(f"missing: {error}")


def of_rust(name: str, *words: str | Path, code: int) -> str:
    """What the example of Rust prints."""
    folder = os.environ.get("PATCHCORE_PROGRAMS")
    if folder is None:
        pytest.skip("missing: the programs of Rust; `cargo xtask test python` builds them")
    done = subprocess.run(
        [Path(folder) / name, *words],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "VSPHERE_PASSWORD": PASSWORD},
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """Four hosts, of which nothing is changed."""
    needed()
    with Stand(4, 12) as stand:
        stand.furnish(50)
        yield stand


@pytest.fixture
def vcenter(stand: Stand) -> pc.VCenter:
    return pc.VCenter(server=stand.server, user=USER, password=pc.Secret(PASSWORD), ca_file=stand.ca)


@pytest.fixture
def cluster(vcenter: pc.VCenter) -> pc.VsphereCluster:
    return vcenter.cluster(CLUSTER)


@pytest.fixture
def plan(cluster: pc.VsphereCluster) -> pc.Plan:
    policy = pc.Policy.from_file(POLICY)
    return pc.Estate("dc-south", [cluster]).plan(policy, requested_by="sam")


def timeless(text: str) -> str:
    """Without the plan's digest and the minute in which it was made."""
    text = re.sub(r"^plan [0-9a-f]+", "plan …", text, flags=re.M)
    return re.sub(r"\d\d:\d\d(:\d\d)?|\b\d+ (s|min) ago|\b\w\w\w \d+ \w\w\w\b", "…", text)


def test_rust_and_python_plan_the_same_with_the_same_words(tmp_path: Path) -> None:
    needed()
    with Stand(4, 12) as stand:
        stand.furnish(50)
        vcenter = pc.VCenter(server=stand.server, user=USER, password=PASSWORD, ca_file=stand.ca)
        cluster = vcenter.cluster(CLUSTER)
        estate = pc.Estate("dc-south", [cluster])
        plan = estate.plan(pc.Policy.from_file(POLICY), requested_by="sam")
        rolled = pc.plan_roll(vcenter.read_cluster(cluster).cluster.for_plan(plan), "knee")
        (tmp_path / "vcenter.json").write_text(json.dumps(stand.ready))
        said = of_rust("vsphere-roll", "--vcenter", tmp_path / "vcenter.json", code=0)
        assert stand.faults() == []
    ours = f"{vcenter.full_name()}\n\n{plan}\n\n{rolled}\n\n"
    assert "17 found = 4 planned + 13 not covered" in ours and "roll of 4 hosts with 12 machines" in ours, ours
    assert timeless(said).startswith(timeless(ours)), f"{said}\n\nand\n\n{ours}"


def test_rust_and_python_look_through_with_the_same_words() -> None:
    needed()
    with Stand(4, 24) as stand:
        stand.plant_trouble()
        vcenter = pc.VCenter(server=stand.server, user=USER, password=PASSWORD, ca_file=stand.ca)
        found = vcenter.checkup()
        words = ("--server", stand.server, "--user", USER, "--ca", stand.ca)
        assert timeless(of_rust("examples/vsphere_doctor", *words, code=3)) == timeless(f"{found}\n")
        plain = json.loads(of_rust("examples/vsphere_doctor", *words, "--json", code=3))
    ours = found.to_dict()
    for of in (plain, ours):
        moment = of.pop("at")
        assert re.match(r"\d{4}-\d\d-\d\dT", moment)
        for host in of["clusters"][0]["hosts"]:
            host["booted"] = host["booted"][:19]
    assert ours == plain
    assert not found.in_order
    (owned,) = found.clusters
    assert isinstance(owned.may_lose, vsphere.MayNotLoseAll) and owned.may_lose.hosts
    assert [stays.vm for stays in owned.pinned] == ["DC0_C0-vm0003"]
    assert owned.old_snapshots[0].hours >= 500
    assert {support.kind for support in found.supports} >= {vsphere.SupportKind.DNS, vsphere.SupportKind.DOMAIN}
    assert vsphere.Checkup.from_dict(found.to_dict()) == found
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.in_order = True  # type: ignore[misc]


#: What is the estate's own: its names, addresses, users and texts.
OWN = ("DC0", "vm0001", "vmhba", "10.0.0", "example.org", "nightly", "hours old", "administrator", USER, PASSWORD)


def test_a_transcript_says_nothing_of_the_estate(tmp_path: Path) -> None:
    needed()
    file, other, of_both = tmp_path / "sync.jsonl", tmp_path / "rust.jsonl", tmp_path / "async.jsonl"
    with Stand(4, 24) as stand:
        stand.plant_trouble()
        keywords = {"server": stand.server, "user": USER, "password": PASSWORD, "ca_file": stand.ca}
        found = pc.VCenter(**keywords).checkup(transcript=file)
        asyncio.run(pc.AsyncVCenter(**keywords).checkup(transcript=of_both))
        own = (*OWN, stand.server)
        # The estate has them, so that their absence says something.
        assert all(text in json.dumps(found.to_dict()) for text in ("DC0", "vm0001", "vmhba", "10.0.0", "nightly"))
        written = file.read_text()
        assert [text for text in own if text in written] == []
        assert "RetrievePropertiesEx" in written and "poweredOn" in written
        said = pc.VCenter(**keywords).checkup()
        assert str(said).splitlines()[0] == str(found).splitlines()[0]
        words = ("--server", stand.server, "--user", USER, "--ca", stand.ca, "--transcript", other)
        of_rust("examples/vsphere_doctor", *words, code=3)

    def calls(path: Path) -> list[str]:
        return [line.get("answer", {}).get("call", "") for line in map(json.loads, path.read_text().splitlines())]

    assert calls(file) == calls(other) == calls(of_both) and len(calls(file)) > 8


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("vsphere_roll.py", "--hosts", "4", "--machines", "8", "--task", "50"), 0, "4 hosts run build"),
        (("vsphere_doctor.py",), 3, "DC0_C0-vm0003 stays on"),
        (("vsphere_doctor.py", "--json"), 3, '"in_order": false'),
    ],
)
def test_the_examples_run(words: tuple[str, ...], code: int, said: str, tmp_path: Path) -> None:
    needed()
    done = subprocess.run(
        [sys.executable, EXAMPLES / words[0], *words[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout and done.stderr == "", done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_roll_in_an_event_loop_with_its_events(tmp_path: Path) -> None:
    needed()

    async def rolled(stand: Stand) -> pc.Report:
        vcenter = pc.AsyncVCenter(server=stand.server, user=USER, password=PASSWORD, ca_file=stand.ca)
        assert await vcenter.clusters() == (CLUSTER,)
        assert (await vcenter.checkup()).vcenter == await vcenter.full_name()
        cluster = await vcenter.cluster(CLUSTER)
        estate, journal = pc.AsyncEstate("dc-south", [cluster]), pc.Journal(tmp_path / "run.db")
        plan = await estate.plan(pc.Policy.from_file(POLICY), requested_by="sam", history=journal)
        read = await vcenter.read_cluster(cluster)
        planned = await pc.async_plan_roll(read.cluster.for_plan(plan), "knee")
        approved = plan.approve(plan.approval("maria"))
        run = await estate.run_rolling(approved, [pc.ClusterRoll.of(cluster, planned)], journal)
        kinds = [event.kind async for event in run.events()]
        assert kinds.count("roll") > 8 and "settled" in kinds, kinds
        report = await run.report()
        await journal.aclose()
        await vcenter.log_out()
        return report

    with Stand(3, 6) as stand:
        stand.furnish(20)
        report = asyncio.run(rolled(stand))
        assert report.exit_code == 0, str(report)
        assert stand.faults() == []


def test_keywords_a_file_and_the_environment_reach_the_same(
    stand: Stand, vcenter: pc.VCenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    (tmp_path / "ca.pem").write_bytes(Path(stand.ca).read_bytes())
    (tmp_path / "vsphere.toml").write_text(
        f'server = "{stand.server}"\nuser = "{USER}"\npassword_file = "password"\nca_file = "ca.pem"\n'
    )
    monkeypatch.setenv("PATCHCORE_VSPHERE_SERVER", stand.server)
    monkeypatch.setenv("PATCHCORE_VSPHERE_USER", USER)
    monkeypatch.setenv("PATCHCORE_VSPHERE_PASSWORD", PASSWORD)
    monkeypatch.setenv("PATCHCORE_VSPHERE_FINGERPRINT", stand.ready["fingerprint"])
    ways = [vcenter, pc.VCenter.from_file(tmp_path / "vsphere.toml"), pc.VCenter.from_env()]
    assert {way.full_name() for way in ways} == {vcenter.full_name()}
    assert [way.clusters() for way in ways] == [(CLUSTER,)] * 3
    assert all(PASSWORD not in repr(way) + str(way) for way in ways)
    assert repr(pc.AsyncVCenter.from_env()) == f"<AsyncVCenter https://{stand.server}/sdk>"


def test_a_wrong_password_is_named_and_not_shown(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        wrong = pc.VCenter(server=stand.server, user=USER, password="hunter2-wrong", ca_file=stand.ca)
        with pytest.raises(pc.exceptions.NotAllowed) as denied:
            wrong.clusters()
        with pytest.raises(pc.Error) as unknown:
            pc.VCenter(server=stand.server, user=USER, password=PASSWORD).clusters()
        with pytest.raises(pc.exceptions.InvalidInput) as given:
            pc.VCenter(server="u:hunter2-wrong@vc", user="u", password=["hunter2-wrong"])  # type: ignore[arg-type]
    assert USER in str(denied.value) and "certificate" in str(unknown.value)
    said = [repr(e.value) + str(e.value) for e in (denied, unknown, given)] + [r.getMessage() for r in caplog.records]
    assert not any("hunter2" in text or PASSWORD in text for text in said)


def test_a_roll_that_does_not_fit_is_refused(
    vcenter: pc.VCenter, cluster: pc.VsphereCluster, plan: pc.Plan
) -> None:
    assert (cluster.name, cluster.provider, repr(cluster)) == (CLUSTER, "vsphere", f"<VsphereCluster {CLUSTER}>")
    read = vcenter.read_cluster(cluster)
    wanted = read.cluster.for_plan(plan)
    assert wanted.limits.max_hosts_down == 2 and all(host.needs_patch for host in wanted.hosts)
    planned = pc.plan_roll(wanted)
    estate = pc.Estate("dc-south", [cluster])
    approved = plan.approve(plan.approval("maria"))

    def refused(given: Any, kind: type[Exception], said: str) -> None:
        with pytest.raises(kind, match=said):
            estate.run_rolling(approved, [given], pc.Journal.in_memory())

    refused(planned, TypeError, "ClusterRoll.of")
    words = ", ".join(roll.ClusterSetting)
    refused(roll.ClusterRoll(CLUSTER, "vsphere", planned, ("sleep",)), pc.exceptions.InvalidInput, words)  # type: ignore[arg-type]
    refused(roll.ClusterRoll(CLUSTER, "elsewhere", planned), pc.exceptions.NotFound, "elsewhere drains")
    wider = dataclasses.replace(wanted, limits=dataclasses.replace(wanted.limits, max_hosts_down=3))
    too_many = roll.ClusterRoll.of(cluster, pc.plan_roll(wider))
    refused(too_many, pc.exceptions.InvalidInput, "ring cluster lets 2 go")
    with pytest.raises(pc.exceptions.NotFound, match=CLUSTER):
        vcenter.cluster("elsewhere")
