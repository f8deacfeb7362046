"""What the command line says of ranks before anything is started."""

from __future__ import annotations

import pytest

from tests.conftest import Cli

RANK = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--stagger"], {}, ["--stagger", "torchrun or srun"]),
        (["--rank-timeout", "5"], {}, ["--rank-timeout", "torchrun or srun"]),
        (["--ranks", "1", "--stagger"], {}, ["--stagger", "--ranks N"]),
        (["--ranks", "0"], {}, ["--ranks", "0", "1 …"]),
        (["--ranks", "2"], RANK, ["--ranks", "rank 1 of 2", "its environment"]),
        (["--ranks", "2"], RANK | {"TORCHELASTIC_RUN_ID": "7"}, ["--ranks", "rank 1 of 2", "torchrun"]),
        (["--rank-timeout", "-5"], RANK, ["--rank-timeout", "-5", "positive"]),
        (["--resume", "run.jsonl"], RANK, ["--resume", "several ranks"]),
        ([], {**RANK, "MASTER_ADDR": ""}, ["MASTER_ADDR", "torchrun"]),
        (["--device", "cude"], RANK, ["--device", "cude", "cuda"]),
    ],
)
def test_what_cannot_be_meant_is_exit_2_and_one_line(
    cli: Cli, arguments: list[str], environment: dict[str, str], words: list[str]
) -> None:
    result = cli("run", *arguments, env=environment)
    assert result.code == 2 and result.out == ""
    (line,) = result.err.splitlines()
    assert all(word in line for word in words), line


def test_one_rank_shows_the_plan_for_all(cli: Cli) -> None:
    result = cli("run", "--dry-run", env=RANK)
    assert (result.code, result.out, result.err) == (0, "", "")
