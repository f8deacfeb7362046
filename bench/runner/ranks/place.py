"""Which rank of how many this process is, from what its launcher put into its environment. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from bench.errors import UsageError

SLURM_PORTS: Final = range(20_000, 32_000)
"""Where a step's store listens unless MASTER_PORT names a port: below what Linux gives to clients (32768 …)."""

# What `bench.runner.ranks.launcher` says beside the names that torchrun has too.
OUR_JOB: Final = "BENCH_RANKS_JOB"
OUR_PARENT: Final = "BENCH_RANKS_PARENT"
OUR_SPENT: Final = "BENCH_RANKS_SPENT_S"
OUR_DEVICE: Final = "BENCH_RANKS_DEVICE"

TORCHRUNS_OWN: Final = {"OMP_NUM_THREADS": "1", "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1"}
"""What torchrun sets where the user has not. The first is for ranks that bring their own threads: here it would leave
all cores but one idle. With the second a worker whose peer died takes its communicator down before it ends, and may
hang in that (NVIDIA/nccl issue 863); torch's own default ends it at once."""


@dataclass(frozen=True)
class Place:
    """One process among those of a run."""

    rank: int
    world: int
    local_rank: int
    """Its number on its node."""
    address: str
    port: int
    agent_store: bool
    """The launcher (torchrun's agent, or ours) has a store at that address; otherwise rank 0 opens one."""
    launcher: Literal["bench", "torchrun", "srun", "environment"]
    job: str
    """Sets this run's keys in the store apart from anybody else's."""
    device: str | None = None
    """The device that our launcher gave to this rank, in place of what `--device` says."""
    parent: int | None = None
    """Our launcher's process."""
    spent_s: int = 0
    """Wall time of the run's budget that our launcher has spent: whole seconds."""


def place(environment: Mapping[str, str]) -> Place | None:
    """This process's place; None where it was started alone, or as the only one.

    Our launcher's variables come before torchrun's and those before Slurm's: each may be started inside the next.
    UsageError for a set that is not whole or makes no sense.
    """
    if environment.get(OUR_JOB):
        found = _from_ours(environment)
    elif "RANK" in environment and "WORLD_SIZE" in environment:
        found = _from_torchrun(environment)
    elif environment.get("SLURM_STEP_NUM_TASKS"):
        # Of a step: a batch script has SLURM_PROCID and SLURM_NTASKS too, and is no rank of anything.
        found = _from_slurm(environment)
    else:
        return None
    if not 0 <= found.rank < found.world:
        raise UsageError(f"RANK: {found.rank} is not one of the {found.world} ranks, 0 … {found.world - 1}")
    return found if found.world > 1 else None


def variables(rank: Place) -> dict[str, str]:
    """What a rank of our launcher has in its environment: `place` reads it back."""
    found = {
        "RANK": str(rank.rank),
        "WORLD_SIZE": str(rank.world),
        "LOCAL_RANK": str(rank.local_rank),
        "LOCAL_WORLD_SIZE": str(rank.world),
        "MASTER_ADDR": rank.address,
        "MASTER_PORT": str(rank.port),
        OUR_JOB: rank.job,
        OUR_PARENT: str(rank.parent),
        OUR_SPENT: str(rank.spent_s),
    }
    return found | ({OUR_DEVICE: rank.device} if rank.device else {})


def torchruns_own(environment: Mapping[str, str]) -> list[str]:
    """The variables that hold a default of torchrun's which is none for us."""
    return [name for name, value in TORCHRUNS_OWN.items() if environment.get(name) == value]


def _from_ours(environment: Mapping[str, str]) -> Place:
    return Place(
        rank=_number(environment, "RANK"),
        world=_number(environment, "WORLD_SIZE"),
        local_rank=_number(environment, "LOCAL_RANK"),
        address=_text(environment, "MASTER_ADDR"),
        port=_number(environment, "MASTER_PORT"),
        agent_store=True,
        launcher="bench",
        job=environment[OUR_JOB],
        device=environment.get(OUR_DEVICE) or None,
        parent=_number(environment, OUR_PARENT),
        spent_s=_number(environment, OUR_SPENT),
    )


def _from_torchrun(environment: Mapping[str, str]) -> Place:
    world = _number(environment, "WORLD_SIZE")
    elastic = environment.get("TORCHELASTIC_RUN_ID")
    return Place(
        rank=_number(environment, "RANK"),
        world=world,
        local_rank=_number(environment, "LOCAL_RANK", "0" if world == 1 else None),
        address=_text(environment, "MASTER_ADDR") if world > 1 else "",
        port=_number(environment, "MASTER_PORT", "0" if world == 1 else None),
        agent_store=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        launcher="environment" if elastic is None else "torchrun",
        job=f"{elastic or 'job'}/{environment.get('TORCHELASTIC_RESTART_COUNT', '0')}",
    )


def _from_slurm(environment: Mapping[str, str]) -> Place:
    job, step = _number(environment, "SLURM_JOB_ID", "0"), _number(environment, "SLURM_STEP_ID", "0")
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST") or ""
    own_port = SLURM_PORTS[(job * 13 + step) % len(SLURM_PORTS)]
    return Place(
        rank=_number(environment, "SLURM_PROCID"),
        world=_number(environment, "SLURM_STEP_NUM_TASKS"),
        local_rank=_number(environment, "SLURM_LOCALID"),
        address=environment.get("MASTER_ADDR") or first_node(nodes) or "localhost",
        port=_number(environment, "MASTER_PORT", str(own_port)),
        agent_store=False,
        launcher="srun",
        job=f"{job}.{step}",
    )


def first_node(nodes: str) -> str:
    """The first name of a Slurm node list: "node03" of "node[03-10,12],login"; rank 0 runs there."""
    return re.sub(r"\[(\d+)[^\]]*\]", r"\1", nodes).partition(",")[0].strip()


def _text(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise UsageError(f"{name}: not set, though RANK and WORLD_SIZE are; torchrun sets all of them")
    return value


def _number(environment: Mapping[str, str], name: str, default: str | None = None) -> int:
    value = environment.get(name, "").strip() or default
    if value is None:
        raise UsageError(f"{name}: not set, though other variables of its launcher are; torchrun and srun set all")
    if not (value.isascii() and value.isdigit()):
        raise UsageError(f"{name}: {value!r} is not a whole number")
    return int(value)
