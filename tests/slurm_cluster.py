"""A Slurm cluster on this machine for as long as a test module runs: a controller and two nodes, gone when it ends.

Each node has namespaces of its own, so that it has its own name, processes and credential cache: a slurmd that is built
for one per machine takes a second one there for a duplicate, and refuses credentials which its neighbour has seen.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TOOLS = (
    *("munged", "slurmctld", "slurmd", "sbatch", "srun", "sinfo", "squeue", "scancel", "scontrol"),
    *("unshare", "setpriv", "mount", "hostname"),
)
NODES = ("bench-n1", "bench-n2")
MUNGE = "munge"
"""The folder with the socket by which the controller's side makes and checks credentials; a node has its own there."""
UP_S = 60.0

WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""A daemon ends with the process that started it, however that ends; a node takes all of its processes along."""
NODE = (
    *("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"),
    f'mount --bind "$1/$2" "$1/{MUNGE}" && mount --bind "$1/hosts" /etc/hosts && hostname "$2" '
    '&& exec slurmd -D -f "$1/slurm.conf"',
    "slurmd",
)

PROLOG = """#!/bin/sh
# Slurm gives a prolog no environment of ours. Jobs of tests that plant nothing go through unmeasured.
test -e {planted} || exit 0
export BENCH_PYTHON={python} BENCH_STORE={store} BENCH_GPUS=2
exec {prolog}
"""


class NotHereError(Exception):
    """Why no cluster can be had on this machine."""


@dataclass(frozen=True)
class Cluster:
    """How to reach it, and what its nodes' check is given."""

    environment: dict[str, str]
    """In which sbatch and the others reach it."""
    planted: Path
    """Where a run file is what the prolog measures on every node; without one the prolog is not run."""
    store: Path
    """Where the prolog keeps its runs."""

    def ask(self, *words: str, folder: Path | None = None, timeout_s: float = 60.0) -> str:
        """The output of one of Slurm's commands."""
        done = subprocess.run(
            words, env=self.environment, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout.strip()

    def wait_until(self, found: Callable[[], bool], what: str, timeout_s: float = UP_S) -> None:
        """Look until it is so; the controller's own words where it never is."""
        until = time.monotonic() + timeout_s
        while not found():
            assert time.monotonic() < until, (f"not in {timeout_s:g} s: {what}", self.ask("scontrol", "show", "nodes"))
            time.sleep(0.2)


@contextlib.contextmanager
def started(prolog: Path, python: Path) -> Iterator[Cluster]:
    """A cluster whose nodes run `prolog` before a job, with `python` for its interpreter. Raises NotHereError."""
    # Not in the test's own folder: a socket's path may have no more than 107 characters.
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
        environment |= {"SLURM_CONF": str(folder / "slurm.conf")}
        cluster = Cluster(environment, folder / "planted.jsonl", folder / "store")
        _write_files(folder, cluster, prolog, python)
        sides = [folder / side for side in (MUNGE, *NODES)]
        with _Daemons(folder, environment) as daemons:
            for side in sides:
                daemons.start(*_munged(side, folder / "key"))
            daemons.wait_until(lambda: all((side / "socket").exists() for side in sides))
            daemons.start("slurmctld", "-D", "-f", environment["SLURM_CONF"])
            for node in NODES:
                daemons.start(*NODE, str(folder), node)
            daemons.wait_until(lambda: _said_idle(environment) == len(NODES))
            yield cluster


class _Daemons:
    """Processes that end with the block, with all that they started."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._log = folder / "daemons.log"
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> _Daemons:
        return self

    def __exit__(self, *what: object) -> None:
        for daemon in reversed(self._running):
            daemon.kill()
        for daemon in self._running:
            daemon.wait()

    def start(self, *command: str) -> None:
        with open(self._log, "ab") as log:
            process = subprocess.Popen(
                [*WITH_US, *command],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._running.append(process)

    def wait_until(self, found: Callable[[], bool]) -> None:
        """Raises NotHereError with the daemons' last words where one ends or the time is up."""
        until = time.monotonic() + UP_S
        while not found():
            if time.monotonic() > until or any(daemon.poll() is not None for daemon in self._running):
                raise NotHereError(f"Slurm does not come up here: {self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)


def _munged(folder: Path, key: Path) -> list[str]:
    files = {name: folder / name for name in ("socket", "pid", "log", "seed")}
    options = [f"--{name}{'' if name == 'socket' else '-file'}={path}" for name, path in files.items()]
    return ["munged", "--force", "--foreground", f"--key-file={key}", *options]


def _said_idle(environment: Mapping[str, str]) -> int:
    """How many nodes are there and idle; 0 while the controller does not answer yet."""
    command = ["sinfo", "--noheader", "--Node", "--format=%T"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.split().count("idle")


def _write_files(folder: Path, cluster: Cluster, prolog: Path, python: Path) -> None:
    for side in (MUNGE, *NODES):
        (folder / side).mkdir()
    (folder / "state").mkdir()
    (folder / "key").write_bytes(os.urandom(128))
    (folder / "key").chmod(0o600)
    (folder / "hosts").write_text(f"{Path('/etc/hosts').read_text()}\n127.0.0.1 {' '.join(NODES)}\n")
    words = {"planted": cluster.planted, "python": python, "store": cluster.store, "prolog": prolog}
    (folder / "prolog").write_text(PROLOG.format_map({name: shlex.quote(str(path)) for name, path in words.items()}))
    (folder / "prolog").chmod(0o755)
    Path(cluster.environment["SLURM_CONF"]).write_text(_configuration(folder))


def _configuration(folder: Path) -> str:
    controller_port, *ports = _free_ports(1 + len(NODES))
    lines = {
        "ClusterName": "test",
        "SlurmctldHost": f"{socket.gethostname().partition('.')[0]}(127.0.0.1)",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder / MUNGE / 'socket'}",
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool-%n",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd-%n.pid",
        "SlurmctldPort": controller_port,
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU",
        "ReturnToService": 2,
        "MpiDefault": "none",
        "JobAcctGatherType": "jobacct_gather/none",
        "AccountingStorageType": "accounting_storage/none",
        # Both nodes are this machine: each may say that it has two CPUs, whatever is here.
        "SlurmdParameters": "config_overrides",
        "Prolog": folder / "prolog",
        "PrologFlags": "Alloc",
    }
    text = [f"{key}={value}" for key, value in lines.items()]
    text += [
        f"NodeName={node} NodeAddr=127.0.0.1 Port={port} CPUs=2 State=UNKNOWN"
        for node, port in zip(NODES, ports, strict=True)
    ]
    text += ["PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP", ""]
    return "\n".join(text)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in found]
