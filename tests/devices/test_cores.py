"""Cores in use: affinity, quota and hyper-threads, from control groups of both versions and from sysfs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.devices.cgroup import Limits, limits, parse_cpu_max, parse_membership, parse_mounts
from bench.devices.cores import Topology, read_topology, units_in_use
from bench.devices.files import parse_cpu_list, parse_size

V2_MOUNT = "30 24 0:26 {root} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
V1_MOUNTS = (
    "33 32 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "34 32 0:30 {root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def threads(pairs: int, per_core: int = 2) -> Topology:
    return Topology(frozenset(frozenset(range(core * per_core, (core + 1) * per_core)) for core in range(pairs)))


def test_version_2_takes_the_least_quota_from_the_leaf_to_the_mount(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/mountinfo": V2_MOUNT.format(root="/"),
            "proc/self/cgroup": "0::/kubepods/pod1/container",
            "sys/fs/cgroup/kubepods/cpu.max": "800000 100000",
            "sys/fs/cgroup/kubepods/pod1/cpu.max": "150000 100000",
            "sys/fs/cgroup/kubepods/pod1/container/cpu.max": "max 100000",
            "sys/fs/cgroup/kubepods/pod1/container/memory.max": "max",
            "sys/fs/cgroup/kubepods/pod1/memory.max": "4294967296",
        },
    )
    assert limits(root) == Limits(cpus=1.5, memory_bytes=4 * 2**30)


def test_version_1_takes_the_least_quota_too(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/mountinfo": V1_MOUNTS.format(root="/"),
            "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc",
            "sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us": "250000",
            "sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "9223372036854771712",
        },
    )
    assert limits(root) == Limits(cpus=2.5, memory_bytes=None)


@pytest.mark.parametrize("path", ["/docker/abc", "/docker/abc/inner", "/../..", "/elsewhere"])
def test_a_container_that_sees_its_own_group_at_the_mount_is_bound_by_it(tmp_path: Path, path: str) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/mountinfo": V1_MOUNTS.format(root="/docker/abc"),
            "proc/self/cgroup": f"3:cpu,cpuacct:{path}",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_quota_us": "-1",
        },
    )
    assert limits(root).cpus == 0.5


def test_a_machine_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert limits(tmp_path) == Limits()


@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_a_quota_is_its_share_of_the_period(quota: int, period: int) -> None:
    assert parse_cpu_max(f"{quota} {period}") == quota / period


@given(st.text())
def test_odd_files_are_read_as_nothing_or_as_something_and_never_fail(text: str) -> None:
    parse_cpu_max(text)
    parse_membership(text)
    parse_mounts(text)
    parse_size(text.replace("²", ""))


@given(st.frozensets(st.integers(0, 300)))
def test_a_cpu_list_reads_back(cpus: frozenset[int]) -> None:
    assert parse_cpu_list(",".join(map(str, sorted(cpus)))) == cpus


def test_a_cpu_list_has_ranges() -> None:
    assert parse_cpu_list("0-2,8, 10-11") == {0, 1, 2, 8, 10, 11}


def test_sysfs_tells_which_threads_share_a_core(tmp_path: Path) -> None:
    files = {"sys/devices/system/cpu/online": "0-3"}
    for cpu in range(4):
        files[f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"] = f"{cpu % 2},{cpu % 2 + 2}"
    topology = read_topology(write(tmp_path, files))
    assert topology.cores == {frozenset({0, 2}), frozenset({1, 3})}
    assert (topology.logical, topology.threads_per_core) == (4, 2)


def test_without_sysfs_each_cpu_is_a_core(tmp_path: Path) -> None:
    assert len(read_topology(tmp_path, fallback=6).cores) == 6


def test_threads_of_one_core_add_nothing() -> None:
    units = units_in_use(threads(4), {0, 1}, Limits())
    assert (units.in_use, units.total) == (1, 4)
    assert units.why == "affinity mask: 2 of 8 CPUs"


def test_the_whole_machine_needs_no_reason() -> None:
    units = units_in_use(threads(4), range(8), Limits())
    assert (units.in_use, units.total, units.why) == (4, 4, "")


def test_a_fractional_quota_counts_as_the_next_whole_core_and_says_so() -> None:
    units = units_in_use(threads(4), None, Limits(cpus=1.5))
    assert (units.in_use, units.why) == (2, "cgroup quota 1.5")


def test_a_quota_wider_than_the_mask_changes_nothing() -> None:
    assert units_in_use(threads(4), {0}, Limits(cpus=3)).in_use == 1


@given(st.integers(1, 64), st.integers(1, 2), st.sets(st.integers(0, 127)), st.none() | st.floats(0.01, 200))
def test_cores_in_use_lie_between_one_and_all(
    cores: int, per_core: int, allowed: set[int], quota: float | None
) -> None:
    units = units_in_use(threads(cores, per_core), allowed, Limits(cpus=quota))
    assert units.in_use is not None
    assert 1 <= units.in_use <= cores
    assert (units.in_use == cores) or units.why
