"""When to stop sampling: rules over the samples so far, with the constants and where they come from.

The state only holds numbers that it is given; the clock and the calls belong to `bench.timing`.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite, sqrt
from typing import Literal, TypeAlias

from bench.stats.intervals import relative_half_width
from bench.stats.robust import relative, relative_iqr_of_sorted

StopReason: TypeAlias = Literal["interval", "iqr", "noise-stable", "budget"]


@dataclass(frozen=True)
class Rules:
    """The constants of the stopping rules. NVB: NVIDIA/nvbench's `stdrel` criterion; "ours": this project's choice."""

    minimum_samples: int = 10  # NVB
    minimum_timed_s: float = 0.5  # NVB
    target: float = 0.005
    """Relative half-width of the median's 95 % interval, or relative IQR, that is precise enough (NVB's 0.5 %)."""
    noise_from: int = 5  # NVB: no standard deviation of fewer samples
    noise_minimum: int = 64  # NVB: more noise values than this before they are judged
    noise_window: int = 512  # NVB
    noise_variation: float = 0.05  # NVB
    look_every: int = 16  # NVB; up to `noise_minimum` samples each one is looked at (ours)


@dataclass
class State:
    """The samples of one measurement so far. Feed it with `add`, tell it the wall time in `elapsed_s`."""

    budget_s: float
    rules: Rules = field(default_factory=Rules)
    samples: list[float] = field(default_factory=list)
    """In the order taken."""
    timed_s: float = 0.0
    """Seconds inside timed calls."""
    elapsed_s: float = 0.0
    """Seconds of wall time since the measurement began, set-up included."""
    _ordered: list[float] = field(default_factory=list, repr=False)
    _mean: float = field(default=0.0, repr=False)
    _squares: float = field(default=0.0, repr=False)
    _noise: deque[float] = field(init=False, repr=False)
    _noise_values: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        self._noise = deque(maxlen=self.rules.noise_window)

    def add(self, sample: float, timed_s: float) -> None:
        """Take in one sample and the seconds that its timed calls took together. ValueError on NaN or infinity."""
        if not isfinite(sample):
            raise ValueError("a sample is NaN or infinite")
        self.samples.append(sample)
        self.timed_s += timed_s
        insort(self._ordered, sample)
        # Welford's running variance: the noise after every sample without going over all of them again.
        count = len(self.samples)
        delta = sample - self._mean
        self._mean += delta / count
        self._squares += delta * (sample - self._mean)
        if count >= self.rules.noise_from and self._mean != 0.0:
            self._noise.append(sqrt(max(0.0, self._squares) / (count - 1)) / abs(self._mean))
            self._noise_values += 1

    @property
    def relative_half_width(self) -> float | None:
        """Half the width of the median's 95 % interval over the median; None below 6 samples."""
        return relative_half_width(self._ordered) if self._ordered else None

    @property
    def relative_iqr(self) -> float | None:
        """The samples' interquartile range over their median; None without samples."""
        return relative_iqr_of_sorted(self._ordered) if self._ordered else None

    @property
    def reached_target(self) -> bool:
        """Whether the samples are as precise as the target asks, whichever rule ended them; if not, a row is noisy."""
        return self._precise() is not None

    def _precise(self) -> StopReason | None:
        if len(self.samples) < self.rules.minimum_samples:
            return None
        half_width = self.relative_half_width
        if half_width is not None and half_width <= self.rules.target:
            return "interval"
        iqr = self.relative_iqr
        return "iqr" if iqr is not None and iqr <= self.rules.target else None


def decide(state: State) -> StopReason | None:
    """Which rule says stop now, or None to go on.

    "interval": the relative half-width of the median's 95 % interval is within the target; "iqr": the relative IQR is;
    both after the minimum of samples and of timed seconds. "noise-stable": the relative standard deviation has settled,
    so that more samples of this kind tell little. "budget": the wall time is spent, after one sample at the least.
    """
    rules, count = state.rules, len(state.samples)
    if count == 0:
        return None
    due = count <= rules.noise_minimum or count % rules.look_every == 0
    if due and count >= rules.minimum_samples and state.timed_s >= rules.minimum_timed_s:
        precise = state._precise()
        if precise:
            return precise
        if state._noise_values > rules.noise_minimum and count % rules.look_every == 0 and _stable(state._noise, rules):
            return "noise-stable"
    return "budget" if state.elapsed_s >= state.budget_s else None


def _stable(noise: Sequence[float], rules: Rules) -> bool:
    """Whether the noise values vary by less than 5 % around the newest (from it, not from their mean, as NVB)."""
    newest = noise[-1]
    variance = sum((value - newest) ** 2 for value in noise) / (len(noise) - 1)
    return relative(sqrt(variance), newest) < rules.noise_variation
