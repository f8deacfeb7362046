"""The process group in which ranks measure together: made anew where it broke, and how its ranks exchange numbers.

Which ranks there are and when they make one is `bench.runner.collective_meeting`'s; what they measure,
`bench.runner.collective`'s.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from bench import records
from bench.errors import UnavailableError
from bench.runner.protocol import Together

WORDS_BYTES: Final = 400
"""Of a text that is exchanged, in UTF-8; what is longer is cut off."""
GLOO: Final = "gloo"
NCCL: Final = "nccl"
WHERE_IN_GLOO: Final = re.compile(r"\[\S+\.(?:cc|cpp|h):\d+\] ")
ADVICE_OF_GLOO: Final = re.compile(r"\.? This is typically caused by .*")
WORDS_OF_NCCL: Final = re.compile(
    r"NCCL error in: \S+ (?P<what>.*?)(?: \(run with [^)]*\))?, NCCL version (?P<version>\S+)\s.*?"
    r"Last error:\s*(?P<last>\S.*)",
    re.DOTALL,
)
"""torch's words for what NCCL returned (c10d's NCCLUtils.hpp, C10D_NCCL_CHECK): the cause stands last of five lines."""
ON_TIMEOUT: Final = {"TORCH_NCCL_DUMP_ON_TIMEOUT": "0", "TORCH_NCCL_WAIT_TIMEOUT_DUMP_MILSEC": "0"}
"""What torch is told, unless the user has, of a call whose peer is gone (ProcessGroupNCCL.cpp): write no trace, wait no
minute for it. The store keeps the word that one is wanted: told to look for that, torch would end every worker that
comes later too, some minutes after it made its group."""


class TorchGroup:
    """torch's default process group, as `bench.timing.Group`. Numbers go over the processors, whatever the device."""

    def __init__(self, rank: int, ranks: int) -> None:
        self._rank = rank
        self._ranks = ranks

    @property
    def rank(self) -> int:
        """This process's number."""
        return self._rank

    @property
    def ranks(self) -> int:
        """How many there are."""
        return self._ranks

    def exchange(self, values: Sequence[float]) -> list[list[float]]:
        """Every rank's values, by rank; raises where one does not come within the group's limit."""
        import torch

        return [one.tolist() for one in self._gathered(torch.tensor(values, dtype=torch.float64))]

    def exchange_words(self, words: str) -> list[str]:
        """Every rank's text, by rank."""
        import torch

        data = words.encode()[:WORDS_BYTES].ljust(WORDS_BYTES, b"\0")
        mine = torch.tensor(list(data), dtype=torch.uint8)
        return [bytes(one.tolist()).rstrip(b"\0").decode(errors="ignore") for one in self._gathered(mine)]

    def _gathered(self, mine: Any) -> list[Any]:
        import torch

        found = [torch.empty_like(mine) for _ in range(self._ranks)]
        distributed().all_gather(found, mine)
        return found


def distributed() -> Any:
    """torch.distributed, whose names mypy can't see: they are there only where torch was built with it."""
    return importlib.import_module("torch.distributed")


def backend_of(kind: str) -> str:
    """What torch.distributed calls the backend for a type of device: gloo, nccl, xccl, …

    UnavailableError where it has none.
    """
    name = distributed().Backend.default_device_backend_map.get(kind)
    if name is None:
        raise UnavailableError(f"torch.distributed has no backend for {kind}")
    return str(name)


def open_group(together: Together, device: records.Device, name: str) -> TorchGroup:
    """Make the default group of all ranks on a device; `name` sets its keys in the store apart from other groups'.

    Every rank calls it, with the same name, within the limit; what torch raises where one does not is passed on. The
    processors of the ranks are in it too, for `TorchGroup.exchange`.
    """
    import torch

    torch_distributed = distributed()
    close_group()
    limit = timedelta(seconds=together.limit_s)
    # A connection of its own: a wait of the group holds up nobody else's notes.
    store = torch_distributed.TCPStore(
        together.address, together.port, is_master=False, timeout=limit, wait_for_workers=False
    )
    on_device, bound = backend_of(device.kind), None
    if on_device == NCCL:
        for setting, value in ON_TIMEOUT.items():
            os.environ.setdefault(setting, value)
    if device.kind != "cpu":
        on_device = f"cpu:{GLOO},{device.kind}:{on_device}"
        index = torch.device(device.device).index
        bound = None if index is None else torch.device(device.kind, index)
    torch_distributed.init_process_group(
        backend=on_device,
        store=torch_distributed.PrefixStore(f"bench/{together.job}/group/{name}", store),
        rank=together.rank,
        world_size=together.ranks,
        timeout=limit,
        device_id=bound,
    )
    return TorchGroup(together.rank, together.ranks)


def close_group() -> None:
    """Leave the default group, if there is one: the others' calls that wait for this rank fail then."""
    if distributed().is_initialized():
        distributed().destroy_process_group()


def is_of_group(error: BaseException) -> bool:
    """Whether it is the group that failed (a rank that is gone or too late), and not what this rank was doing."""
    # Gloo raises plain RuntimeErrors that begin with the file which they come from.
    return isinstance(error, distributed().DistError) or GLOO in str(error).lower()


def plain(reason: str) -> str:
    """What Gloo or NCCL says went wrong, in one line, without the line of its source and its advice."""
    line = " ".join(reason.split())
    said = WORDS_OF_NCCL.search(line)
    if said:
        return f"NCCL {said['version']}: {said['what']}: {said['last']}"
    return ADVICE_OF_GLOO.sub("", WHERE_IN_GLOO.sub("", line))
