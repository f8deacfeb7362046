"""An interpreter for the side `python:PATH` that answers at once: it writes the run file that a launch would write.

So the command line, its processes and its verdicts are tested in seconds, with times that a test chooses. What a real
launch does is tested by tests/cli/test_run.py, and a whole real `ab` by tests/cli/test_ab.py and test_soak.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]

SOURCE = """\
#!{python}
import json, os, random, signal, subprocess, sys, time
from pathlib import Path
if sys.argv[1] == "-c":
    print(json.dumps({{"version": "0", "narrows": True}}))
    sys.exit()
sys.path.insert(0, {checkout!r})
from bench import records
from tests import factories
how = json.loads({how!r})
log = Path({log!r})
number = log.read_text().count(how["label"]) if log.exists() else 0
with log.open("a") as file:
    file.write(how["label"])
if number in how["killed"]:
    os.kill(os.getpid(), signal.SIGKILL)
if number in how["hangs"]:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    Path({log!r} + ".pids").write_text(f"{{os.getpid()}} {{child.pid}}")
    time.sleep(600)
if how["fails"]:
    print("bench: " + how["fails"], file=sys.stderr)
    sys.exit(2)
draw = random.Random(f"{{how['label']}} {{number}}")
time_s = how["time_s"] * (1 + draw.gauss(0, how["noise"]))
row = factories.measurement(median_s=time_s, low_s=time_s, high_s=time_s, id="00001", status=how["status"])
with open(sys.argv[sys.argv.index("--out") + 1], "wb") as file:
    run = factories.run_file([row])
    for record in (run.run, *run.devices, *run.measurements, run.end):
        file.write(records.encode(record))
sys.exit(run.end.exit_code)
"""


def interpreter(folder: Path, label: str, **how: Any) -> str:
    """A program in `folder` that behaves so; returns the side's text. All share the log `folder`/launches."""
    defaults: dict[str, Any] = {
        "label": label,
        "time_s": 1e-3,
        "noise": 0.005,
        "status": "ok",
        "killed": [],
        "hangs": [],
        "fails": "",
    }
    path = folder / f"python-{label}"
    source = SOURCE.format(
        python=sys.executable, checkout=str(CHECKOUT), how=json.dumps(defaults | how), log=str(folder / "launches")
    )
    path.write_text(source, encoding="utf-8")
    path.chmod(0o755)
    return f"python:{path}"
