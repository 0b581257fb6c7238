"""Carries out one run over ssh and pours out all that a program can see of it: the program of ``test_secrets_ssh.py``.

    spill.py FOLDER INVENTORY PROBE LEAKS

PROBE is ``http``, the built-in check, or ``token``, one of an author's own that shows a token to the server. With LEAKS
``yes`` that one puts the token into its answer: the planted leak.
"""

from __future__ import annotations

import http.server
import json
import logging
import pickle
import sys
import threading
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import patchcore as pc
from patchcore import provider as p

#: What the server wants to see, and gives back with every answer, as careless ones do.
TOKEN = pc.Secret.from_env("CHECK_TOKEN")


class Server(http.server.BaseHTTPRequestHandler):
    """Healthy for whoever shows the token; without it, it sends the caller on with one in the address."""

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == f"Bearer {TOKEN.reveal()}"
        (status, page) = (200, "healthy") if known and self.path == "/healthz" else (403, "refused")
        if self.path == "/login":
            status = 302
            self.send_response(status)
            self.send_header("Location", f"http://sso.example/login?next=/&token={TOKEN.reveal()}#{TOKEN.reveal()}")
        else:
            self.send_response(200 if self.path == "/open" else status)
        self.send_header("Set-Cookie", f"login={TOKEN.reveal()}")
        self.end_headers()
        self.wfile.write(f"{page}: token {TOKEN.reveal()}".encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: it stands for a server elsewhere."""


class Asks:
    """A check with a token: plain methods of an author."""

    name = "tokens"

    def __init__(self, leaks: bool) -> None:
        self.token, self.leaks = TOKEN, leaks

    def ports(self) -> p.Ports:
        return p.Ports(probe=self)

    def kinds(self) -> list[str]:
        return ["http"]

    def probe(self, ctx: p.Context, request: p.ProbeRequest) -> p.ProbeAnswer:
        assert isinstance(request.kind, p.Http)
        ask = urllib.request.Request(request.kind.url, headers={"Authorization": f"Bearer {self.token.reveal()}"})
        try:
            with urllib.request.urlopen(ask, timeout=5) as answer:
                said = f"{answer.status}" + (answer.read().decode() if self.leaks else "")
                return p.ProbeAnswer(p.ProbeVerdict.HEALTHY, said)
        except urllib.error.HTTPError as error:
            return p.ProbeAnswer(p.ProbeVerdict.UNHEALTHY, f"{error.code}, asked with {self.token}")


class Spilt:
    """Everything that was shown, a line each."""

    def __init__(self, into: Path) -> None:
        self.into = into

    def add(self, what: str, *texts: object) -> None:
        with self.into.open("a") as into:
            into.writelines(f"{what}: {text}\n" for text in texts)

    def value(self, what: str, value: Any) -> None:
        """All forms of a value."""
        self.add(what, repr(value), str(value))
        for form in ("to_dict", "to_json", "to_markdown", "_repr_html_"):
            if hasattr(value, form):
                self.add(f"{what}.{form}", getattr(value, form)())
        try:
            self.add(f"{what} pickled", pickle.dumps(value))
        except TypeError as error:
            self.add(f"{what} not pickled", error)

    def error(self, what: str, error: BaseException) -> None:
        """All of an exception, also what a traceback shows and keeps."""
        self.value(what, error)
        self.add(what, vars(error), error.args, *traceback.format_exception(error))

    def tried(self, what: str, action: Callable[[], Any]) -> Any:
        """What an action gives or raises."""
        try:
            value = action()
        except Exception as error:
            self.error(what, error)
            return None
        for part in value if isinstance(value, Iterable) and not isinstance(value, (str, pc.Inventory)) else [value]:
            self.value(what, part)
        return value


def spill(folder: Path, inventory: Path, probe: str, leaks: bool) -> str:
    """How the run came out, in a word."""
    logging.basicConfig(filename=folder / "log", level=logging.DEBUG)
    shown = Spilt(folder / "shown")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fleet = pc.Linux.from_file(inventory)
    checks = pc.Http() if probe == "http" else Asks(leaks)
    estate = pc.Estate("fleet", [fleet, checks])
    text = (folder / "policy.toml").read_text().replace("PORT", str(server.server_port))
    policy = pc.Policy.from_toml(text)
    for what, value in (("fleet", fleet), ("checks", checks), ("estate", estate), ("policy", policy)):
        shown.value(what, value)
    shown.tried("discover", estate.discover)
    with pc.Journal(folder / "run.db") as journal:
        shown.value("journal", journal)
        plan = shown.tried("plan", lambda: estate.plan(policy, requested_by="sam", history=journal))
        for name in ("host-01", "host-02", "host-03"):
            shown.tried("explain", partial(plan.explain, name))
        if plan.is_empty:
            return "nothing to do"
        run = estate.run(plan.approve(plan.approval("maria")), journal)
        with run:
            shown.tried("lines", lambda: list(run.lines()))
            standing = shown.tried("finished", run.finished)
            if standing.verdict is None:  # it halted; people decide, and what it holds is given back
                for name in plan.components:
                    shown.tried("resolve", partial(run.resolve, name, "abandon", "maria", "seen enough"))
                shown.tried("end", lambda: run.end("maria", "seen enough"))
                standing = shown.tried("finished", run.finished)
            events = shown.tried("events", lambda: list(run.events()))
            for what in ("progress", "report", "ledger"):
                shown.tried(what, getattr(run, what))
            shown.tried("why", lambda: run.why("host-01"))
            shown.tried("resolve", lambda: run.resolve("nobody", "retry", "maria", "to see what it says"))
            shown.value("run", run)
        assert events
        return str(standing.verdict or standing.state)


if __name__ == "__main__":
    given = sys.argv[1:]
    print(json.dumps(spill(Path(given[0]), Path(given[1]), given[2], given[3] == "yes")))
