"""Which rank a process is comes from its launcher's environment; without one nothing changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.runner.ranks.place import SLURM_PORTS, Place, first_node, place, torchruns_own, variables

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RUN_ID": "none",
    "TORCHELASTIC_RESTART_COUNT": "0",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
}
SRUN = {
    "SLURM_JOB_ID": "77",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
    "SLURM_STEP_NODELIST": "gpu[07-09,11]",
}


def test_without_a_launcher_there_is_no_place() -> None:
    assert place({"PATH": "/bin"}) is None


def test_what_torchrun_sets_by_itself_is_known_and_what_a_user_sets_stays() -> None:
    nccl = "TORCH_NCCL_ASYNC_ERROR_HANDLING"
    assert torchruns_own({"OMP_NUM_THREADS": "1", nccl: "1", "PATH": "/bin"}) == ["OMP_NUM_THREADS", nccl]
    assert torchruns_own({"OMP_NUM_THREADS": "4", nccl: "2"}) == torchruns_own({}) == []


def test_torchrun_says_all_of_it() -> None:
    found = place(TORCHRUN)
    assert found is not None
    assert (found.rank, found.world, found.local_rank) == (3, 8, 1)
    assert (found.address, found.port, found.agent_store, found.launcher) == ("node0", 29500, True, "torchrun")


def test_a_restarted_job_has_keys_of_its_own() -> None:
    first, again = place(TORCHRUN), place(TORCHRUN | {"TORCHELASTIC_RESTART_COUNT": "1"})
    assert first is not None and again is not None and first.job != again.job


def test_without_torchruns_agent_rank_0_opens_the_store() -> None:
    found = place({name: value for name, value in TORCHRUN.items() if not name.startswith("TORCHELASTIC")})
    assert found is not None and not found.agent_store and found.launcher == "environment"


def test_a_step_of_slurm_meets_on_its_first_node() -> None:
    found = place(SRUN)
    assert found is not None
    assert (found.rank, found.world, found.local_rank, found.launcher) == (2, 4, 0, "srun")
    assert found.address == "gpu07" and found.port in SLURM_PORTS and not found.agent_store


def test_the_tasks_of_a_step_agree_and_another_step_meets_elsewhere() -> None:
    one, other = place(SRUN), place(SRUN | {"SLURM_PROCID": "3", "SLURM_LOCALID": "1"})
    next_step = place(SRUN | {"SLURM_STEP_ID": "1"})
    assert one is not None and other is not None and next_step is not None
    assert (one.address, one.port, one.job) == (other.address, other.port, other.job)
    assert next_step.port != one.port and next_step.job != one.job


def test_torchrun_inside_a_step_is_torchrun() -> None:
    found = place(SRUN | TORCHRUN)
    assert found is not None and found.launcher == "torchrun" and found.rank == 3


OURS = Place(
    rank=1,
    world=3,
    local_rank=1,
    address="127.0.0.1",
    port=40_000,
    agent_store=True,
    launcher="bench",
    job="f00d",
    device="cuda:1",
    parent=77,
    spent_s=4,
)


@pytest.mark.parametrize("rank", [OURS, replace(OURS, device=None)])
@pytest.mark.parametrize("outside", [{}, SRUN, TORCHRUN])
def test_a_rank_of_our_launcher_reads_what_was_written_for_it(rank: Place, outside: dict[str, str]) -> None:
    """Wherever that was started: as the one task of a step, say."""
    assert place(outside | variables(rank)) == rank


def test_a_batch_script_is_no_rank() -> None:
    """It has SLURM_PROCID and SLURM_NTASKS, and nobody beside it."""
    assert place({"SLURM_JOB_ID": "77", "SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0"}) is None


@pytest.mark.parametrize(
    "environment", [{"RANK": "0", "WORLD_SIZE": "1"}, SRUN | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}]
)
def test_the_only_rank_runs_as_if_alone(environment: dict[str, str]) -> None:
    assert place(environment) is None


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"MASTER_ADDR": ""}, "MASTER_ADDR"),
        ({"MASTER_PORT": ""}, "MASTER_PORT"),
        ({"LOCAL_RANK": "-1"}, "LOCAL_RANK"),
        ({"WORLD_SIZE": "many"}, "WORLD_SIZE"),
        ({"RANK": "8"}, "RANK"),
    ],
)
def test_a_set_that_is_not_whole_is_refused_by_name(changes: dict[str, str], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        place(TORCHRUN | changes)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node03", "node03"),
        ("node[03-10,12],login", "node03"),
        ("a,b[1-2]", "a"),
        ("r[1-2]n[3,5]", "r1n3"),
        ("", ""),
    ],
)
def test_the_first_node_of_a_list(nodes: str, first: str) -> None:
    assert first_node(nodes) == first


@given(st.integers(0, 999), st.integers(1, 20), st.lists(st.integers(0, 999), max_size=3))
def test_the_first_number_of_a_range_keeps_its_zeros(low: int, more: int, others: list[int]) -> None:
    listed = ",".join([f"{low:03d}-{low + more:03d}", *(f"{other:03d}" for other in others)])
    assert first_node(f"cn[{listed}]") == f"cn{low:03d}"
