"""How the ranks of a run meet before a row that they measure together, and learn that one of them won't come.

The meeting place is the board of the run (`bench.runner.ranks.board`), where the leader's word on lost ranks stands
too. Every wait has an end. A group is used while all ranks have the same one; after it broke, or where a rank came back
in a new process, all make another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bench import records
from bench.errors import BenchError
from bench.runner.group import TorchGroup, close_group, is_of_group, open_group, plain
from bench.runner.protocol import Together
from bench.runner.ranks.board import Board, BoardLost, State, visit
from bench.timing.together_check import by_rank, named

LOOK_S: Final = 0.02
"""How often a rank looks for the one that it waits for; with more than a hundred ranks as much less often (ours)."""
LOOKING_RANKS: Final = 100
SILENT_S: Final = 15.0
"""How long a rank is waited for that did not come to the meeting before: a new process of it may be starting (ours)."""
AFTERMATH_S: Final = 5.0
"""After a group broke, how long the ranks listen for one another to find out who is missing (ours)."""
REASON_LENGTH: Final = 300
"""Characters of what a group says went wrong, as of any other error (`bench.runner.row.failure`)."""


class NotMet(Exception):
    """The ranks did not come together; the message names who is missing, and why."""

    def __init__(self, reason: str, status: records.Status = "failed") -> None:
        super().__init__(reason)
        self.status = status


class Here(msgspec.Struct, kw_only=True):
    """I have come to a row, on this host, with this group ("" for none); note `meet/ROW`."""

    host: str
    what: str
    """The row in words: all have to be at the same one."""
    group: str
    implementations: list[str]
    accelerator: str = ""
    """What tells this rank's from all others; "" where that is not known, and for a processor."""


class Broken(msgspec.Struct, kw_only=True):
    """My group broke while the row was measured; note `broken/ROW`."""

    reason: str
    of_group: bool
    """Whether it was the group that failed here, and not something that this rank did."""


class Meeting:
    """One rank's side: waits for the others at each row, and keeps the group."""

    def __init__(
        self,
        together: Together,
        board: Board,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rank = together.rank
        self.ranks = together.ranks
        self._limit_s = together.limit_s
        self._board = board
        self._clock = clock
        self._sleep = sleep
        self._pause_s = LOOK_S * max(1.0, together.ranks / LOOKING_RANKS)
        self._silent: set[int] = set()

    def meet(self, row: str, here: Here) -> list[Here]:
        """Say that this rank has come to a row and wait for all; what each has said, by rank. Raises NotMet.

        Called once a row. Where one rank gives the meeting up, all do.
        """
        try:
            self._board.post(f"meet/{row}", here, self.rank)
            for rank in range(self.ranks):
                self._wait_for(rank, row)
            if (reason := self._board.read(f"off/{row}", str)) is not None:
                raise NotMet(reason)
            every = self._board.read_all(f"meet/{row}", Here, range(self.ranks))
        except BoardLost as lost:
            raise NotMet(f"the run's store is gone ({lost})") from None
        elsewhere = {rank: one.what for rank, one in enumerate(every) if one.what != every[0].what}
        if elsewhere:
            raise NotMet(f"the ranks are not at the same row: rank 0: {every[0].what}; {by_rank(elsewhere)}")
        if shared := _sharing(every):
            raise NotMet(shared, "unsupported")
        return every

    def after(self, row: str, reason: str, *, of_group: bool) -> str:
        """What to say of a row whose group broke here for that reason, after hearing what the others have to say."""
        try:
            return self._after(row, reason, of_group=of_group)
        except BoardLost:
            return reason

    def _after(self, row: str, reason: str, *, of_group: bool) -> str:
        self._board.post(f"broken/{row}", Broken(reason=reason, of_group=of_group), self.rank)
        if not of_group:
            return reason
        others = [rank for rank in range(self.ranks) if rank != self.rank]
        until = self._clock() + AFTERMATH_S
        heard: dict[int, Broken] = {}
        while (missing := [rank for rank in others if rank not in heard]) and self._clock() < until:
            for rank in missing:
                if (note := self._board.read(f"broken/{row}", Broken, rank)) is not None:
                    heard[rank] = note
            self._sleep(self._pause_s)
        causes = {rank: note.reason for rank, note in heard.items() if not note.of_group}
        if causes:
            return f"{by_rank(causes)} (here: {reason})"
        if missing:
            return f"{named(missing)} fell out during it: {reason}"
        return f"the group broke: {reason}; {by_rank({rank: note.reason for rank, note in heard.items()})}"

    def _wait_for(self, rank: int, row: str) -> None:
        limit_s = min(SILENT_S, self._limit_s) if rank in self._silent else self._limit_s
        until = self._clock() + limit_s
        while not self._board.has(f"meet/{row}", rank):
            reason = self._board.read(f"off/{row}", str) or self._gone(rank)
            if not reason and self._clock() > until:
                self._silent.add(rank)
                reason = f"rank {rank} did not come to this row in {limit_s:g} s"
            if reason:
                self._board.post(f"off/{row}", reason)
                raise NotMet(reason)
            self._sleep(self._pause_s)
        self._silent.discard(rank)

    def _gone(self, rank: int) -> str:
        """Why a rank won't come any more; "" where it may."""
        lost = self._board.read("lost", str, rank)
        if lost is not None:
            return f"rank {rank} is lost: {lost}"
        state = self._board.read("state", State, rank)
        return f"rank {rank} has ended before this row" if state is not None and state.done else ""


class Company:
    """The ranks that a worker measures with: the meeting and the group, from the first row that needs them on."""

    def __init__(self, together: Together) -> None:
        self.together = together
        self._meeting: Meeting | None = None
        self._group: TorchGroup | None = None
        self._name = ""
        self._device = ""
        self.unusable = False
        """Whether a broken group is left in this process that only its end clears away."""

    def join(self, row: str, device: records.Device, here: Here) -> tuple[TorchGroup, list[Here]]:
        """Meet at a row and return the group of all ranks, with what each of them said. Raises NotMet."""
        if self._device != device.device:
            self._leave()
        every = self._met().meet(row, msgspec.structs.replace(here, group=self._name))
        groups = {one.group for one in every}
        if len(groups) > 1 and device.kind != "cpu":
            self._outlive()
        if self._group is None or len(groups) > 1:
            self._leave()
            try:
                self._group = open_group(self.together, device, row)
            except BenchError as error:  # torch has no transport for the device
                raise NotMet(str(error), "unsupported") from None
            except RuntimeError as error:
                self.unusable = device.kind != "cpu"
                raise NotMet(f"the ranks could not make a group: {_words(error)}") from error
            self._name, self._device = row, device.device
        return self._group, every

    def broke(self, row: str, device: records.Device, error: BaseException, reason: str) -> str:
        """Give the group up after `error`; the reason to give for the row."""
        of_group = is_of_group(error)
        if device.kind == "cpu":
            self._leave()  # at once: the others wait for this rank's part
        else:
            # Communicators of accelerators may hang where they are taken down one-sidedly: the process has to end.
            self.unusable = True
            self._forget()
        return self._met().after(row, _words(error) if of_group else reason, of_group=of_group)

    def _outlive(self) -> None:
        """End a row at which a rank came in a new process, and with it what the others have of the group of before.

        Taken down, that may hang as well as a broken one: it goes with its processes, and the next row has a new group.
        """
        self.unusable = self._group is not None
        self._forget()
        raise NotMet("a rank has come in a new process: the others' group ends with theirs, the next row has a new one")

    def _leave(self) -> None:
        if self._group is not None:
            try:
                close_group()
            except RuntimeError:
                self.unusable = True  # what is left of it goes with the process
        self._forget()

    def _forget(self) -> None:
        self._group, self._name, self._device = None, "", ""

    def _met(self) -> Meeting:
        if self._meeting is None:
            together = self.together
            try:
                board = visit(together.address, together.port, together.job)
            except BoardLost as lost:
                where = f"{together.address}:{together.port}"
                raise NotMet(f"cannot reach the store of the run at {where}: {lost}") from None
            self._meeting = Meeting(together, board)
        return self._meeting


def common(every: Sequence[Here]) -> list[str]:
    """The implementations that all ranks have, in rank 0's order."""
    return [name for name in every[0].implementations if all(name in one.implementations for one in every)]


def _sharing(every: Sequence[Here]) -> str:
    """Which ranks are on one accelerator, of which a group takes each once; "" where there are none."""
    owners: dict[str, list[int]] = {}
    for rank, one in enumerate(every):
        if one.accelerator:
            owners.setdefault(one.accelerator, []).append(rank)
    shared = [named(ranks) for ranks in owners.values() if len(ranks) > 1]
    return f"{'; '.join(shared)} are on one and the same device: give each rank one of its own" if shared else ""


def _words(error: BaseException) -> str:
    """What an error of the group says, in one line."""
    return (plain(str(error)) or type(error).__name__)[:REASON_LENGTH]
