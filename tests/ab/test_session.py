"""An `ab` from first launch to verdict: the order, what is measured again, what dies, and how often it is wrong.

Launches are drawn from the method's model of noise, so that a thousand of them take a second.
"""

from __future__ import annotations

import msgspec
import pytest

from bench import records
from bench.ab.futility import chance_of_an_answer, hopeless
from bench.ab.session import Settings, compare
from bench.analysis.comparison import Comparison, Thresholds, exit_code
from bench.errors import UnavailableError
from tests.ab.simulated import SIDES, Machine, Watcher, side

AT_3 = Settings(Thresholds(asked=0.03))
AT_5 = Settings(Thresholds(asked=0.05))


def verdicts(machine: Machine, settings: Settings = AT_5) -> dict[str, str]:
    """Kernel → verdict."""
    return {one.series.partition("[")[0]: one.verdict for one in judged(machine, settings).series}


def judged(machine: Machine, settings: Settings = AT_5) -> Comparison:
    return compare(SIDES, settings, machine, Watcher())


def test_launches_go_abba_after_one_of_each_that_does_not_count() -> None:
    machine = Machine(noise=0.001)
    judged(machine)
    assert "".join(machine.order) == "AB" + "ABBA" * 4
    assert machine.asked[:2] == [None, None], "the rehearsal measures everything there is"


def test_what_is_called_was_measured_twice_and_the_second_time_alone() -> None:
    """A clear change is confirmed by the first half of the fresh pairs."""
    machine = Machine({"gemm": 1.3, "conv": 1.0, "attention": 1.0}, noise=0.005)
    found = judged(machine)
    assert {one.series.partition("[")[0]: one.verdict for one in found.series} == {
        "gemm": "regression",
        "conv": "same",
        "attention": "same",
    }
    assert machine.asked[2:18] == [{1: "", 2: "", 3: ""}] * 16
    assert machine.asked[18:] == [{1: ""}] * 16
    (gemm,) = (one for one in found.series if one.verdict == "regression")
    assert gemm.base_launches == gemm.new_launches == 8
    assert gemm.p == pytest.approx(2 / 256), "twice the p of eight pairs: the price of a look half-way"
    assert gemm.ratio == pytest.approx(1.3, rel=0.02)
    assert exit_code(found) == 1


def test_what_the_first_half_of_the_fresh_pairs_leaves_open_gets_the_second() -> None:
    looks: dict[int, set[str]] = {}
    for seed in range(60):
        machine = Machine({"gemm": 1.13}, noise=0.05, seed=seed)
        (gemm,) = judged(machine).series
        if len(machine.order) in (2 + 16 + 16, 2 + 16 + 32):
            looks.setdefault(gemm.base_launches, set()).add(gemm.verdict)
            assert gemm.verdict != "regression" or (gemm.p is not None and gemm.p <= 0.05)
    assert looks[8] == {"regression"}, "nothing is given up half-way"
    assert "regression" in looks[16]


def test_what_stands_out_only_when_measured_again_is_confirmed_too() -> None:
    lengths: dict[int, set[str]] = {}
    for seed in range(60):
        machine = Machine({"gemm": 1.13}, noise=0.05, seed=seed)
        (gemm,) = judged(machine).series
        lengths.setdefault(len(machine.order), set()).add(gemm.verdict)
    assert "regression" in lengths[2 + 16 + 32 + 16], "left open, then called, then confirmed at the half-way look"


def test_a_faster_side_is_an_improvement_and_no_failure() -> None:
    found = judged(Machine({"gemm": 0.8}, noise=0.005))
    assert [one.verdict for one in found.series] == ["improvement"]
    assert exit_code(found) == 0


def test_what_noise_hides_is_ambiguous_and_not_the_same() -> None:
    for seed in range(20):
        assert verdicts(Machine({"gemm": 1.1}, noise=0.12, seed=seed)) == {"gemm": "ambiguous"}


def test_it_says_what_can_be_seen_as_soon_as_it_knows() -> None:
    watcher = Watcher()
    compare(SIDES, AT_5, Machine(noise=0.05), watcher)
    assert any("no change below" in message for message in watcher.messages)


def test_unchanged_code_is_called_in_less_than_one_of_a_hundred_comparisons() -> None:
    called = [
        seed
        for seed in range(300)
        if not set(verdicts(Machine({"gemm": 1.0, "conv": 1.0}, seed=seed), AT_3).values()) <= {"same", "ambiguous"}
    ]
    assert len(called) <= 3, f"seeds {called}"


def test_six_percent_are_called_at_a_threshold_of_three() -> None:
    called = [verdicts(Machine({"gemm": 1.06}, seed=seed), AT_3)["gemm"] == "regression" for seed in range(60)]
    assert sum(called) >= 54


def test_half_of_a_suite_that_moves_together_is_one_event() -> None:
    names = [f"kernel-{number}" for number in range(8)]
    found = judged(Machine({name: 1.2 if number < 5 else 1.0 for number, name in enumerate(names)}, noise=0.003))
    (shift,) = found.shifts
    assert (shift.direction, len(shift.series), shift.judged) == ("slower", 5, 8)


def test_a_launch_that_dies_is_told_and_repeated() -> None:
    watcher = Watcher()
    machine = Machine(noise=0.001, dies=lambda number: "died of SIGKILL" if number in (5, 9) else "")
    found = compare(SIDES, AT_5, machine, watcher)
    assert found.series[0].verdict == "same" and found.series[0].base_launches == 8
    assert watcher.messages.count("died of SIGKILL") == 2


def test_a_side_that_always_dies_can_not_be_measured() -> None:
    machine = Machine(dies=lambda number: "exit code 2: no such kernel")
    with pytest.raises(UnavailableError, match=r"A: env:X=0.*exit code 2: no such kernel"):
        judged(machine)
    assert len(machine.order) == 1, "a rehearsal that dies is not repeated"
    machine = Machine(dies=lambda number: "died of SIGSEGV" if number > 6 else "")
    with pytest.raises(UnavailableError, match="SIGSEGV"):
        judged(machine)
    assert len(machine.order) < 16


def test_disturbed_pairs_are_made_up_for_and_counted() -> None:
    def disturbed(row: records.Measurement, number: int) -> records.Measurement:
        return msgspec.structs.replace(row, quarantine=["stolen time"]) if number in (4, 7, 11) else row

    found = judged(Machine(noise=0.001, row=disturbed))
    assert found.series[0].base_launches == 8
    assert found.unstable_rows == 3 and not found.unstable
    assert any("did not count: 3" in note for note in found.series[0].notes)


def test_a_machine_that_is_always_disturbed_is_unstable() -> None:
    def disturbed(row: records.Measurement, number: int) -> records.Measurement:
        return msgspec.structs.replace(row, status="contended", reason="a neighbour")

    found = judged(Machine(row=disturbed))
    assert [(one.verdict, one.reason) for one in found.series] == [("quarantined", "contended")]
    assert exit_code(found) == 4


def test_a_series_that_one_side_lacks_is_missing_and_the_others_go_on() -> None:
    def without_conv(row: records.Measurement, number: int) -> records.Measurement:
        if number == 1 and row.kernel == "conv":
            return msgspec.structs.replace(row, status="wrong", reason="error 0.3", time=None)
        return row

    found = judged(Machine({"gemm": 1.0, "conv": 1.0}, noise=0.001, row=without_conv))
    assert {one.series.partition("[")[0]: (one.verdict, one.reason) for one in found.series} == {
        "gemm": ("same", "within_threshold"),
        "conv": ("missing", "wrong"),
    }
    assert exit_code(found) == 0 and exit_code(found, ("missing",)) == 1


def test_two_implementations_are_one_series() -> None:
    def named(row: records.Measurement, number: int) -> records.Measurement:
        return msgspec.structs.replace(row, implementation="torch" if machine.order[-1] == "A" else "fast")

    machine = Machine({"gemm": 0.5}, row=named)
    found = compare((side("implementation:torch", "A"), side("implementation:fast", "B")), AT_5, machine, Watcher())
    assert [(one.verdict, "torch → fast" in one.series) for one in found.series] == [("improvement", True)]


@pytest.mark.parametrize(
    ("looks_b", "held_b"),
    [({"torch": 1.1, "other": 1.0}, "torch"), ({"torch": 1.5, "other": 1.0}, "other"), ({"other": 1.0}, "other")],
    ids=["a draw goes to A's choice", "clearly beaten", "A's choice is not there"],
)
def test_the_best_is_chosen_once_and_b_keeps_to_it_unless_clearly_beaten(
    looks_b: dict[str, float], held_b: str
) -> None:
    def screened(row: records.Measurement, number: int) -> records.Measurement:
        looks = {"torch": 1.0, "other": 1.05} if machine.order[-1] == "A" else looks_b | {"slow": 9.0}
        chosen = "torch" if machine.order[-1] == "A" else "other"
        seen = [{"implementation": name, "status": "ok", "screened_s": each} for name, each in looks.items()]
        return msgspec.structs.replace(row, implementation=chosen, screened=seen)

    machine = Machine(noise=0.001, row=screened)
    watcher = Watcher()
    compare(SIDES, AT_5, machine, watcher)
    assert machine.asked[2:4] == [{1: "torch"}, {1: held_b}]
    assert any("the best is torch on A" in message for message in watcher.messages) == (held_b != "torch")


def test_another_method_version_is_not_compared() -> None:
    machine = Machine()
    plain = machine._file

    def newer(kernels, label, number):
        file = plain(kernels, label, number)
        file.run.method_version = 1 if label == "A" else 2
        return file

    machine._file = newer
    found = judged(machine)
    assert [(one.verdict, one.reason) for one in found.series] == [("not_comparable", "method_version")]
    assert exit_code(found) == 3 and len(machine.order) == 2


def test_an_ambiguous_series_without_a_chance_is_not_measured_again() -> None:
    machine = Machine(noise=0.3)
    assert verdicts(machine) == {"gemm": "ambiguous"}
    assert len(machine.order) <= 2 + 16


def test_hopeless_and_chance_agree_on_the_extremes() -> None:
    assert not hopeless([], 8, 0.05)
    assert not hopeless([0.3] * 7, 8, 0.05)
    assert hopeless([0.5, -0.5, 0.4, -0.4, 0.6], 8, 0.05)
    assert chance_of_an_answer([0.30, 0.31, 0.29, 0.30, 0.32, 0.30, 0.28, 0.30], 16, 0.05) == 1.0
    assert chance_of_an_answer([0.4, -0.5, 0.3, -0.4, 0.6, -0.2, 0.5, -0.1], 16, 0.05) < 0.1
