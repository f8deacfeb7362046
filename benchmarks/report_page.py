"""What a report of 50 devices × 300 rows × 64 samples costs: time, memory, size, first paint over an empty page's.

`python benchmarks/report_page.py [--devices 50] [--rows 300]`; first paint only where chromium, chromedriver and
selenium are there. The samples are made up: this measures the page, no device.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from bench import records
from bench.analysis.report_view import build
from bench.ratings import load
from bench.report.page import render

KERNELS = ("gemm", "conv", "attention", "memory")
PRECISIONS = (("fp32", "fp32"), ("fp16", "fp32"), ("int8", "int32"))
SAMPLES = 64
PAINTS = 5


def row(number: int, draw: random.Random) -> records.Measurement:
    """A timed row with 64 samples."""
    precision, accumulate = PRECISIONS[number % len(PRECISIONS)]
    median_s, operations = draw.uniform(1e-4, 1e-2), draw.randrange(10**7, 10**10)
    rate = operations / median_s
    return records.Measurement(
        id=f"{number:05}",
        device="cpu",
        host="host",
        rank=0,
        launch=0,
        kernel=KERNELS[number % len(KERNELS)],
        case={"m": 64 + number, "n": 1024, "k": 1024},
        precision=precision,
        accumulate=accumulate,
        implementation="torch",
        mode="burst",
        data="normal",
        cache="cold",
        status="ok",
        reason="",
        check=records.Check(error=1e-7, tolerance=1e-6, passed=True),
        work=records.Work(operations=operations, bytes=operations // draw.randrange(1, 500)),
        time=records.Time(
            median_s=median_s,
            q1_s=median_s,
            q3_s=median_s,
            min_s=median_s,
            mean_s=median_s,
            stdev_s=0.0,
            ci95_low_s=median_s * 0.99,
            ci95_high_s=median_s * 1.01,
            samples=SAMPLES,
            calls_per_sample=1,
            timer="host",
            stop="interval",
        ),
        samples_s=[median_s * draw.uniform(0.95, 1.1) for _ in range(SAMPLES)],
        rate=records.Rate(operations_per_s=rate),
        rated=records.Rated(kind="user", operations_per_s=2 * rate, source="made up"),
        utilization=0.5,
        utilization_of="operations",
        losses=[records.Loss(factor="kernel", ratio=0.5, why="made up")],
    )


def run_file(device: int, rows: int) -> records.RunFile:
    """A run of one device."""
    draw = random.Random(device)
    run = records.Run(
        id=f"run{device}", started="2026-01-01T00:00:00+00:00", command=[], bench_version="0", method_version=1,
        suite="standard", seed=0,
    )  # fmt: skip
    one = records.Device(device="cpu", kind="cpu", name=f"Device {device}", units=records.Units(kind="core", in_use=2))
    return records.RunFile(run=run, devices=[one], measurements=[row(number, draw) for number in range(rows)])


def first_paint_s(path: Path) -> float | None:
    """Median time to the first paint in a headless Chromium; None where there is none."""
    chromium, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver_path is None:
        return None
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        return None
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    asked = "return performance.getEntriesByType('paint')[0]?.startTime ?? null"
    found = []
    try:
        for _ in range(PAINTS):
            driver.get(path.as_uri())
            time.sleep(0.2)
            found.append(driver.execute_script(asked))
    finally:
        driver.quit()
    known = [value / 1e3 for value in found if value is not None]
    return statistics.median(known) if known else None


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=50)
    parser.add_argument("--rows", type=int, default=300)
    args = parser.parse_args()
    files = [(f"run{device}", run_file(device, args.rows)) for device in range(args.devices)]
    tables = load()
    start_s, busy_s = time.perf_counter(), time.process_time()
    text = render(build(files, tables=tables))
    wall_s, busy_s = time.perf_counter() - start_s, time.process_time() - busy_s
    print(f"render  {wall_s:.1f} s (aim: 10 s), of which {busy_s:.1f} s at work")
    print(f"memory  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB at most (aim: 1 GB)")
    print(f"size    {len(text.encode()) / 1e6:.1f} MB")
    with tempfile.TemporaryDirectory() as folder:
        pages = {"report": text, "empty": "<!DOCTYPE html><title>empty</title><p>empty"}
        paints = {}
        for name, page in pages.items():
            path = Path(folder) / f"{name}.html"
            path.write_text(page, "utf-8")
            paints[name] = first_paint_s(path)
    report_s, empty_s = paints["report"], paints["empty"]
    if report_s is None or empty_s is None:
        print("paint   n/a: needs chromium, chromedriver and selenium")
    else:
        print(f"paint   {report_s / empty_s:.1f} times an empty page's ({report_s:.2f} s over {empty_s:.2f} s)")


if __name__ == "__main__":
    main()
