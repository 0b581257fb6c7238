"""What OR-tools' CP-SAT makes of rolls in stages: started by ``cargo xtask bench roll`` in an environment of its own.

A roll in so many stages: in each, some hosts are empty and patched at once, and between two of them machines move. The
model says that and the rules of the cluster, and nothing else: no bound of ours, no cut, no hint. It comes twice.
*relaxed* asks only that everything holds in each stage, so that what it proves holds for every roll with as many
patches one after the other. *executable* takes the room of a move at both of its ends as well, all moves between two
stages at once.

Reads clusters as JSON from its standard input, and writes a line of JSON for each answer.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from ortools.sat.python import cp_model


class Stages:
    """The model of one cluster in so many stages."""

    def __init__(self, cluster: dict[str, Any], stages: int, executable: bool) -> None:
        self.model = cp_model.CpModel()
        self.cluster = cluster
        self.hosts = range(cluster["hosts"])
        self.vms = range(len(cluster["vms"]))
        self.stages = range(1, stages + 1)
        # Where each machine is in each stage; before the first it is where it is.
        self.on: dict[tuple[int, int, int], Any] = {}
        for vm in self.vms:
            for host in self.hosts:
                self.on[vm, host, 0] = int(cluster["vms"][vm]["host"] == host)
                for stage in self.stages:
                    self.on[vm, host, stage] = self.model.new_bool_var("")
        self.down = {(host, stage): self.model.new_bool_var("") for host in self.hosts for stage in self.stages}
        self.comes = {(vm, host, stage): self.model.new_bool_var("") for vm, host, stage in self.on if stage}
        for host in self.hosts:
            self.model.add_exactly_one(self.down[host, stage] for stage in self.stages)
        for stage in self.stages:
            self._stage(stage)
            if executable:
                self._moves(stage)
        moved = (self.cluster["vms"][vm]["takes"][0] * came for (vm, _, _), came in self.comes.items())
        self.model.minimize(sum(moved))

    def _takes(self, vm: int, of: int) -> int:
        return int(self.cluster["vms"][vm]["takes"][of])

    def _stage(self, stage: int) -> None:
        """What holds while the hosts of a stage are patched."""
        has, failures = self.cluster["has"], self.cluster["failures"]
        for vm in self.vms:
            self.model.add_exactly_one(self.on[vm, host, stage] for host in self.hosts)
            for host in self.hosts:
                before, now = self.on[vm, host, stage - 1], self.on[vm, host, stage]
                self.model.add(self.comes[vm, host, stage] >= now - before)
                self.model.add_implication(self.down[host, stage], now.negated())
        down = sum(self.down[host, stage] for host in self.hosts)
        for of, room in enumerate(has):
            everything = sum(self._takes(vm, of) for vm in self.vms)
            self.model.add((len(self.hosts) - failures - down) * room >= everything)
            for host in self.hosts:
                self.model.add(sum(self._takes(vm, of) * self.on[vm, host, stage] for vm in self.vms) <= room)
        for group in self.cluster["groups"]:
            for host in self.hosts:
                self.model.add_at_most_one(self.on[vm, host, stage] for vm in group)

    def _moves(self, stage: int) -> None:
        """What holds while machines move into a stage: each is at both ends."""
        for host in self.hosts:
            there = [self.on[vm, host, stage - 1] + self.comes[vm, host, stage] for vm in self.vms]
            for of, room in enumerate(self.cluster["has"]):
                self.model.add(sum(self._takes(vm, of) * there[vm] for vm in self.vms) <= room)
            for group in self.cluster["groups"]:
                self.model.add(sum(there[vm] for vm in group) <= 1)


def answer(cluster: dict[str, Any], stages: int, executable: bool, limit_s: float) -> dict[str, Any]:
    """The fewest GB that so many stages move, or what is proven of them."""
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = limit_s
    solver.parameters.num_workers = 2
    solver.parameters.random_seed = 1
    began = time.monotonic()
    status = solver.solve(Stages(cluster, stages, executable).model)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return {
        "cluster": cluster["name"],
        "stages": stages,
        "executable": executable,
        "status": solver.status_name(status),
        "gb": round(solver.objective_value) if found else None,
        "seconds": time.monotonic() - began,
    }


def main() -> None:
    """Answers one question after the other."""
    asked = json.load(sys.stdin)
    for cluster in asked["clusters"]:
        for stages in cluster["stages"]:
            for executable in (False, True):
                print(json.dumps(answer(cluster, stages, executable, asked["limit_s"])), flush=True)


if __name__ == "__main__":
    main()
