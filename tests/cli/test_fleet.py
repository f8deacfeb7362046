"""`fleet` through the real command line: who is called sick, why, and in which form."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from bench.kernel import Role
from bench.report.fleet import json_schema
from tests.conftest import Cli
from tests.factories import measurement
from tests.fleets import encoded, lines

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A fleet's run file: device number → its time over a healthy one's; `rows` changes the rows of a device."""

    def file(
        times: dict[int, float], name: str = "fleet", kinds: int = 1, rows: dict[int, dict[str, Any]] | None = None
    ) -> Path:
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(encoded(lines(times, kinds=kinds, rows=rows)))
        return path

    return file


def healthy(count: int) -> dict[int, float]:
    return dict.fromkeys(range(count), 1.0)


def fleet(cli: Cli, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = cli("fleet", *arguments, "--format", "json")
    document: dict[str, Any] = json.loads(done.out)
    jsonschema.validate(document, json_schema())
    return done.code, document


def test_a_healthy_fleet_is_0(cli: Cli, write: Write) -> None:
    code, document = fleet(cli, str(write(healthy(40))))
    assert code == 0
    assert document["outliers"] == []
    assert document["counts"] == {"sick": 0, "unjudged": 0, "healthy": 40}


def test_a_device_at_a_third_of_its_speed_is_named_in_a_mixed_fleet(cli: Cli, write: Write) -> None:
    code, document = fleet(cli, str(write(healthy(40) | {21: 3.0}, kinds=2)))
    assert code == 1
    (outlier,) = document["outliers"]
    assert (outlier["host"], outlier["rank"], outlier["device"]) == ("node2", 21, "cuda:5")
    assert outlier["finding"]["relative_time"] == pytest.approx(3.0, rel=0.05)
    assert {kind["sku"].partition(",")[0]: kind["sick"] for kind in document["kinds"]} == {"card 0": 0, "card 1": 1}


def test_a_slow_clock_is_the_reason(cli: Cli, write: Write) -> None:
    def seen(hz: float, shares: dict[str, float]) -> dict[str, Any]:
        return {"telemetry": {"clock_hz": {"median": hz, "source": "nvml"}, "throttle": {"share": shares}}}

    rows = {number: seen(1.41e9, {}) for number in range(16)}
    rows[5] = seen(1.14e9, {"hw_thermal_slowdown": 0.83}) | {"status": "throttled", "reason": "hot"}
    done = cli("fleet", str(write(healthy(16) | {5: 1.24}, rows=rows)))
    assert done.code == 1
    assert "SICK node0 rank 5 cuda:5" in done.out
    words = " ".join(done.out.split())
    assert "clock 1,140 MHz where its kind has 1,410 MHz: thermal slowdown in 83 % of samples" in words


def test_one_of_two_devices_is_named(cli: Cli, write: Write) -> None:
    code, document = fleet(cli, str(write({0: 1.0, 1: 1.5})))
    assert code == 1
    assert [one["rank"] for one in document["outliers"]] == [1]


def test_a_device_that_computes_wrong_results_alone_is_sick(cli: Cli, write: Write) -> None:
    wrong = {3: {"status": "wrong", "reason": "error 0.3"}}
    code, document = fleet(cli, str(write(healthy(8), rows=wrong)))
    assert code == 1
    assert [one["status"] for one in document["devices"]].count("sick") == 1
    assert "wrong: error 0.3" in document["devices"][3]["reason"]


def test_a_dead_rank_is_sick_with_its_reason(cli: Cli, write: Write) -> None:
    dead = {2: {"status": "crashed", "reason": "rank 2 died: signal 9", "timed": False, "samples_s": None}}
    code, document = fleet(cli, str(write(healthy(4), rows=dead)))
    assert code == 1
    assert "rank 2 died: signal 9" in document["devices"][2]["reason"]


def test_what_ranks_measured_together_tells_of_none_of_them(cli: Cli, write: Write) -> None:
    joint = {"role": Role.COLLECTIVE, "case": {"bytes": 8, "ranks": 4}}
    code, document = fleet(cli, str(write(healthy(4), rows=dict.fromkeys(range(4), joint))))
    assert code == 3
    assert {one["status"] for one in document["devices"]} == {"unjudged"}
    assert "only together with others" in document["devices"][0]["reason"]


def test_a_rank_that_was_lost_while_all_measured_together_is_sick(cli: Cli, write: Write, tmp_path: Path) -> None:
    path = write(healthy(4))
    died = {"status": "crashed", "reason": "rank 2 died: signal 9", "timed": False}
    lost = measurement(id="r2-lost", role=Role.COLLECTIVE, device="cuda:2", host="node0", rank=2, **died)
    path.write_bytes(path.read_bytes() + encoded([lost]))
    code, document = fleet(cli, str(path))
    assert code == 1
    assert [(one["rank"], one["finding"]["rule"]) for one in document["outliers"]] == [(2, "failed")]
    assert "rank 2 died: signal 9" in document["devices"][2]["reason"]


def test_a_device_below_its_rating_is_sick_without_a_neighbour(cli: Cli, write: Write) -> None:
    rows = {0: {"utilization": 0.27, "utilization_of": "operations"}}
    code, document = fleet(cli, str(write({0: 1.0}, rows=rows)))
    assert code == 1
    assert document["outliers"][0]["finding"]["rule"] == "rating"


def test_calls_that_are_mostly_launches_say_nothing_of_the_rating(cli: Cli, write: Write) -> None:
    short = {"utilization": 0.04, "utilization_of": "operations", "median_s": 5e-6, "samples_s": [5e-6] * 51}
    code, document = fleet(cli, str(write({0: 1.0}, rows={0: short})))
    assert code == 3
    assert document["devices"][0]["status"] == "unjudged"
    assert "no row long enough for its rating" in document["devices"][0]["reason"]


def test_a_lone_device_without_a_rating_is_unjudged(cli: Cli, write: Write) -> None:
    code, document = fleet(cli, str(write({0: 1.0})))
    assert code == 3
    assert document["devices"][0]["status"] == "unjudged"


def test_stored_runs_tell_of_a_lone_device(cli: Cli, write: Write, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    for number in range(5):
        content = write({0: 1.0}, name=f"old{number}").read_bytes()
        head, rest = content.split(b"\n", 1)
        run = json.loads(head) | {"id": f"old{number}"}
        (store / f"old{number}.jsonl").write_bytes(json.dumps(run).encode() + b"\n" + rest)
    code, document = fleet(cli, str(write({0: 1.4}, name="now")), "--results", str(store))
    assert code == 1
    assert document["outliers"][0]["finding"]["rule"] == "history"


def test_a_store_without_a_run_to_judge_by_is_said_to_be_one(cli: Cli, write: Write) -> None:
    done = cli("fleet", str(write({0: 1.4})), "--results", "no-such-store")
    assert done.code == 3
    assert "no-such-store" in done.err and "holds no usable earlier run: judged without history" in done.err


def test_the_order_of_the_files_changes_nothing(cli: Cli, write: Write) -> None:
    one = write(dict.fromkeys(range(8), 1.0), name="one")
    other = write(dict.fromkeys(range(8, 16), 1.0) | {9: 1.4}, name="other")
    assert fleet(cli, str(one), str(other))[1]["devices"] == fleet(cli, str(other), str(one))[1]["devices"]


def test_junit_and_openmetrics_say_the_same(cli: Cli, write: Write) -> None:
    path = str(write(healthy(8) | {3: 2.0}))
    junit = cli("fleet", path, "--format", "junit")
    assert junit.code == 1
    assert 'failures="1"' in junit.out
    metrics = cli("fleet", path, "--format", "openmetrics")
    samples = [line for line in metrics.out.splitlines() if line.startswith("bench_fleet_device_sick{")]
    assert sum(line.endswith(" 1.0") for line in samples) == 1
    assert metrics.out.endswith("# EOF\n")


def test_the_name_of_the_file_says_the_format_and_one_that_says_none_is_refused(
    cli: Cli, write: Write, tmp_path: Path
) -> None:
    path = str(write(healthy(8) | {3: 2.0}))
    for name, begins in (("a.txt", "kind "), ("a.json", "{"), ("a.XML", "<?xml"), ("a.htm", "<!DOCTYPE html>")):
        done = cli("fleet", path, "-o", name)
        assert (done.code, done.out, done.err) == (1, "", f"wrote {name}\n")
        assert (tmp_path / name).read_text("utf-8").startswith(begins), name
    for name in ("fleet.pdf", "fleet", ".json", "算力.pdf"):
        refused = cli("fleet", path, "-o", name)
        assert refused.code == 2 and not (tmp_path / name).exists()
        (line,) = refused.err.splitlines()
        assert repr(name) in line and all(suffix in line for suffix in (".txt", ".json", ".xml", ".html", "--format"))
    assert cli("fleet", path, "-o", "fleet.pdf", "--format", "openmetrics").code == 1
    assert (tmp_path / "fleet.pdf").read_text("utf-8").endswith("# EOF\n"), "with --format any name does"
    printed = cli("fleet", path, "-o", "-")
    assert (printed.code, printed.out) == (1, cli("fleet", path).out) and not (tmp_path / "-").exists()


def test_a_page_is_written_by_the_name_of_its_file_and_the_exit_code_stays(
    cli: Cli, write: Write, tmp_path: Path
) -> None:
    path = str(write(healthy(16) | {5: 1.4}))
    done = cli("fleet", path, "-o", "out.html", "--language", "zh")
    assert (done.code, done.out) == (1, ""), done.err
    page = (tmp_path / "out.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>") and "异常设备" in page and "node0 rank 5 cuda:5" in page
    printed = cli("fleet", path, "--format", "html")
    assert printed.code == 1 and "Fleet report" in printed.out
    assert cli("fleet", path, "-o", "out.html").code == 2, "never silently over another"
    for wrong in (("--language", "zh"), ("--format", "html", "--all"), ("-o", "out.html", "--format", "pdf")):
        assert (cli("fleet", path, *wrong).code, wrong) == (2, wrong)
    assert cli("fleet", path, "-o", "table.html", "--format", "json").code == 1
    assert json.loads((tmp_path / "table.html").read_text("utf-8"))["outliers"], "--format goes before the name"


def test_a_report_on_a_run_of_many_devices_has_the_part_on_fleets(cli: Cli, write: Write, tmp_path: Path) -> None:
    many, lone = str(write(healthy(16) | {5: 1.4})), str(write({0: 1.0}, name="lone"))
    other = str(write({0: 1.4}, name="other"))
    assert cli("report", many, "-o", "many.html").code == 0
    assert 'href="#sick0"' in (tmp_path / "many.html").read_text("utf-8")
    assert cli("report", lone, other, "-o", "few.html").code == 0
    text = (tmp_path / "few.html").read_text("utf-8")
    assert '<section id="fleet"' not in text, "two runs of one device may be before and after"
    assert cli("report", many, "-o", "map.svg", "--chart", "fleet").code == 0
    root = ElementTree.fromstring((tmp_path / "map.svg").read_text("utf-8"))
    words = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "node1" in words and "time over the median device of the kind" in words
    assert cli("report", lone, "-o", "no.svg", "--chart", "fleet").code == 3
    assert cli("report", many, "-o", "no.svg", "--chart", "fleet", "--precision", "fp32").code == 2


def test_rules_are_data_and_checked(cli: Cli, write: Write, tmp_path: Path) -> None:
    path, rules = str(write(healthy(8) | {3: 1.3})), tmp_path / "rules.toml"
    rules.write_text("[device]\nrobust_z = 900.0\n[series]\nrobust_z = 900.0\n")
    assert cli("fleet", path, "--rules", str(rules)).code == 0
    for text, word in (
        ("[device]\nrobust_z = 'open(1)'\n", "robust_z"),
        ("[device]\nrobust_z = nan\n", "robust_z"),
        ("[device]\nsquare = 1\n", "square"),
        ("[other]\na = 1\n", "other"),
        ("device = 1\n", "device"),
        ("[device\n", "TOML"),
    ):
        rules.write_text(text)
        done = cli("fleet", path, "--rules", str(rules))
        assert (done.code, word in done.err, done.err.count("\n")) == (2, True, 1), done.err


def test_what_is_no_run_is_3(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "no.jsonl").write_text('{"type":"other"}\n')
    for name in ("no.jsonl", "absent.jsonl"):
        done = cli("fleet", str(tmp_path / name))
        assert (done.code, done.err.count("\n")) == (3, 1)


def test_the_published_schema_is_the_documents(checkout: Path) -> None:
    published = json.loads((checkout / "docs" / "fleet.schema.json").read_text(encoding="utf-8"))
    assert published == json_schema()
