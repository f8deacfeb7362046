"""The host's accounts: recorded ones read exactly, and this machine's read for real."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.telemetry import FIELDS, NotAvailableError, Sample
from bench.telemetry.cpu import CpuSource, PsutilSource, Shares, open_source
from bench.telemetry.proc import (
    ProcessTree,
    Reread,
    own_pids,
    parse_involuntary_switches,
    parse_pressure,
    parse_process,
    parse_stat,
    read_now,
)

RECORDED = Path(__file__).parent / "recorded"
BEFORE = (RECORDED / "proc_stat_before.txt").read_text(encoding="utf-8")
AFTER = (RECORDED / "proc_stat_after.txt").read_text(encoding="utf-8")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_a_recorded_account_of_both_cpus_and_of_one() -> None:
    both = parse_stat(BEFORE, {0, 1}, ticks_per_s=100)
    second = parse_stat(BEFORE, {1}, ticks_per_s=100)
    assert both is not None
    assert second is not None
    columns = [int(word) for word in BEFORE.splitlines()[2].split()[1:]]
    user, nice, system, idle, iowait, irq, softirq, stolen = columns[:8]
    assert second.busy_s == pytest.approx((user + nice + system + irq + softirq) / 100)
    assert second.steal_s == pytest.approx(stolen / 100)
    assert second.total_s == pytest.approx((user + nice + system + idle + iowait + irq + softirq + stolen) / 100)
    assert both.busy_s > second.busy_s


def test_the_cpus_had_the_time_that_passed_between_the_recordings() -> None:
    before, after = parse_stat(BEFORE, {0, 1}, 100), parse_stat(AFTER, {0, 1}, 100)
    assert before is not None
    assert after is not None
    assert after.total_s - before.total_s == pytest.approx(2 * 3.0, rel=0.1)
    assert 0 < after.busy_s - before.busy_s < after.total_s - before.total_s


@pytest.mark.parametrize("text", ["", "intr 5 0", "cpu  1 2 3 4 5 6 7 8", "cpu0 1 2 3", BEFORE.replace("cpu1", "cpu7")])
def test_an_account_without_the_cpu_is_unknown(text: str) -> None:
    assert parse_stat(text, {1}) is None


def test_pressure_is_read_from_the_total_and_not_from_an_average_of_ten_seconds() -> None:
    text = (RECORDED / "pressure_cpu.txt").read_text(encoding="utf-8")
    assert parse_pressure(text) == pytest.approx(int(text.split("total=")[1].split()[0]) / 1e6)
    assert parse_pressure("full avg10=0.00 avg60=0.00 avg300=0.00 total=5") is None
    assert parse_pressure("") is None


@given(st.text(), st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_process_may_have_any_name(name: str, parent: int, user: int, system: int) -> None:
    text = f"42 ({name}) R {parent} 1 1 0 -1 4194304 98 0 0 0 {user} {system} 0 0 20 0 1 0 337620"
    assert parse_process(text, ticks_per_s=100) == (parent, pytest.approx((user + system) / 100))


@given(st.text())
def test_other_text_is_no_process(text: str) -> None:
    assert parse_process(text.replace(")", "")) is None
    assert parse_involuntary_switches(f"Name:\tx\nnonvoluntary_ctxt_switches:\t17\n{text}") == 17
    assert parse_pressure(text.replace("some", "")) is None


def test_shares_are_of_the_time_between_two_samples_and_stay_between_none_and_all() -> None:
    shares = Shares()
    assert shares.add(100.0, 1.0, 50.0) == (None, None)
    assert shares.add(102.0, 1.5, 50.5) == (0.25, 0.25)
    assert shares.add(102.0, 1.5, 50.5) == (None, None)
    assert shares.add(104.0, None, 50.4) == (None, 0.0)
    assert shares.add(105.0, 2.0, 60.0) == (None, 1.0)


def folder(root: Path, pid: int, parent: int, ticks: int, *, children: str | None = None) -> None:
    task = root / str(pid) / "task" / str(pid)
    task.mkdir(parents=True, exist_ok=True)
    (root / str(pid) / "stat").write_text(f"{pid} (x) R {parent} 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 5")
    (task / "status").write_text(f"nonvoluntary_ctxt_switches:\t{pid}\n")
    if children is not None:
        (task / "children").write_text(children)


@pytest.mark.parametrize("listed", [True, False], ids=["children listed", "children looked for"])
def test_descendants_are_ours_from_when_they_are_seen(tmp_path: Path, listed: bool) -> None:
    tick = 1 / os.sysconf("SC_CLK_TCK")
    folder(tmp_path, 10, 1, 100, children="11" if listed else None)
    folder(tmp_path, 11, 10, 200, children="" if listed else None)
    folder(tmp_path, 99, 1, 999, children="" if listed else None)
    tree = ProcessTree([10], tmp_path)
    assert tree.pids == {10, 11}
    assert tree.read() == 0.0
    folder(tmp_path, 11, 10, 230)
    assert tree.read() == pytest.approx(30 * tick)
    folder(tmp_path, 12, 11, 500, children="" if listed else None)
    if listed:
        (tmp_path / "11/task/11/children").write_text("12")
    tree.refresh()
    assert tree.pids == {10, 11, 12}
    folder(tmp_path, 12, 11, 507)
    assert tree.read() == pytest.approx(37 * tick)
    assert tree.involuntary_switches(most_threads=3) == 10 + 11 + 12
    assert tree.involuntary_switches(most_threads=2) is None


def test_a_process_that_ends_keeps_what_it_spent(tmp_path: Path) -> None:
    tick = 1 / os.sysconf("SC_CLK_TCK")
    folder(tmp_path, 10, 1, 100)
    folder(tmp_path, 11, 10, 0)
    tree = ProcessTree([10], tmp_path)
    folder(tmp_path, 11, 10, 50)
    assert tree.read() == pytest.approx(50 * tick)
    for path in (tmp_path / "11/task/11/status", tmp_path / "11/stat"):
        path.unlink()
    tree.refresh()
    assert tree.pids == {10}
    assert tree.read() == pytest.approx(50 * tick)


@linux
@pytest.mark.parametrize("namespace", ["pid:[4026531836]", "pid:[4026532999]"], ids=["host", "container"])
def test_in_a_container_nobody_is_called_another(tmp_path: Path, namespace: str) -> None:
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to(namespace)
    folder(tmp_path, os.getpid(), 1, 5)
    folder(tmp_path, 4_000_001, os.getpid(), 5)
    if namespace == "pid:[4026531836]":
        assert own_pids(tmp_path) == {os.getpid(), 4_000_001}
    else:
        with pytest.raises(NotAvailableError, match="container"):
            own_pids(tmp_path)


def test_a_file_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read_now(tmp_path / "absent") == ""
    assert read_now(tmp_path) == ""


def host(root: Path, cpus: list[int]) -> None:
    """A machine whose files tell everything."""
    lines = "".join(f"cpu{cpu} 100 0 0 100 0 0 0 0 0 0\n" for cpu in cpus)
    files = {"proc/stat": f"cpu  1 0 0 1 0 0 0 0\n{lines}", "proc/pressure/cpu": "some avg10=0.00 total=1000000\n"}
    for cpu in cpus:
        files[f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq"] = "2500000\n"
        files[f"sys/devices/system/cpu/cpu{cpu}/thermal_throttle/core_throttle_count"] = "3\n"
    files |= {"sys/class/hwmon/hwmon0/name": "k10temp\n", "sys/class/hwmon/hwmon0/temp1_input": "71500\n"}
    files |= {"sys/class/hwmon/hwmon1/name": "nvme\n", "sys/class/hwmon/hwmon1/temp1_input": "99000\n"}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@linux
def test_a_machine_that_tells_everything(tmp_path: Path) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    host(tmp_path, cpus)
    folder(tmp_path / "proc", 10, 1, 0)
    source = CpuSource([10], tmp_path)
    assert source.refused == {}
    sample = source.sample()
    assert sample.clock_hz == 2.5e9
    (tmp_path / f"sys/devices/system/cpu/cpu{cpus[0]}/thermal_throttle/core_throttle_count").write_text("4\n")
    samples = [source.sample() for _ in range(5)]
    assert [s.throttle_reasons for s in samples if s.throttle_reasons is not None] == [("thermal_throttle_count",)]
    assert [s.temperature_c for s in samples if s.temperature_c is not None] == [71.5]


@linux
def test_beside_an_accelerator_the_hosts_clock_and_heat_are_not_told(tmp_path: Path) -> None:
    host(tmp_path, sorted(os.sched_getaffinity(0)))
    folder(tmp_path / "proc", 10, 1, 0)
    source = CpuSource([10], tmp_path, of_device=False)
    sample = source.sample()
    assert (sample.clock_hz, sample.temperature_c, sample.throttle_reasons) == (None, None, None)
    assert not source.fields & {"clock_hz", "temperature_c", "throttle_reasons"}


def told(source: CpuSource | PsutilSource) -> list[Sample]:
    samples = [source.sample()]
    for _ in range(3):
        time.sleep(0.05)
        samples.append(source.sample())
    return samples


@linux
def test_this_machine_tells_what_it_says_it_does() -> None:
    source = open_source(of_device=True)
    samples = told(source)
    assert source.fields <= FIELDS
    assert not source.fields & source.refused.keys()
    # Nothing may have throttled, and threads that the tests before left behind may have come over the limit meanwhile.
    for name in source.fields - {"throttle_reasons", "involuntary_switches"}:
        assert any(getattr(sample, name) is not None for sample in [*samples, *told(source)]), name
    for name in source.refused:
        assert all(getattr(sample, name) is None for sample in samples), name
    for sample in samples:
        shares = (sample.steal_share, sample.busy_share_other, sample.pressure_cpu)
        assert all(share is None or 0 <= share <= 1 for share in shares)


@linux
def test_work_of_a_child_is_ours_and_not_that_of_others() -> None:
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        tree = ProcessTree([os.getpid()])
        assert child.pid in tree.pids
        deadline = time.monotonic() + 20
        while tree.read() < 0.05:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        child.kill()
        child.wait()


def test_other_systems_tell_their_load_through_psutil() -> None:
    source = PsutilSource([os.getpid()])
    samples = told(source)
    assert {"busy_other_s", "cpu_total_s", "busy_share_other"} == source.fields
    assert samples[-1].cpu_total_s is not None
    assert "steal_share" in source.refused
    assert all(sample.steal_share is None for sample in samples)


def test_a_file_that_is_read_again_tells_what_it_holds_now(tmp_path: Path) -> None:
    file = tmp_path / "stat"
    held = Reread(file)
    assert held.read() == ""
    file.write_text("one")
    assert held.read() == "one"
    file.write_text("two, and longer")
    assert held.read() == "two, and longer"
    held.close()
    held.close()
    assert held.read() == ""


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@linux
def test_a_source_leaves_no_file_open() -> None:
    before = open_files()
    for _ in range(3):
        source = open_source(of_device=True)
        told(source)
        source.close()
    assert open_files() <= before


@linux
def test_a_process_that_ended_is_let_go_of() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        tree = ProcessTree([os.getpid()])
        tree.read()
        held = open_files()
        assert child.stdin is not None
        child.stdin.close()
        child.wait()
    tree.refresh()
    tree.read()
    assert child.pid not in tree.pids
    assert open_files() < held
    tree.close()
