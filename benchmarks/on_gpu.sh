#!/usr/bin/env bash
# Everything worth knowing of a machine with a GPU, in order of worth; useful when cut off after two minutes.
#
#   benchmarks/on_gpu.sh FOLDER [first|standard|scenarios]
#
# Each part takes nine minutes at most. first (default): products, the GPU tests, the quick suite, copies from and to the
# host, products back to back and on other data. standard: that suite. scenarios: those, and what can be found at most.
#
# Needs Python 3.11 with torch for its device, pip and setuptools; no package registry. FOLDER gets log.txt and a run
# file a step. Where pure-Python dependencies are missing, carry their wheels: on a machine with a registry
#
#   pip download -d WHEELS msgspec tabulate rich psutil nvidia-ml-py pytest setuptools wheel
#
# and set WHEELS to that folder here. Nothing is installed into the environment: all goes into a temporary folder.
# Other variables: PYTHON (python3), DEVICE (cuda), BENCH_REQUIRE (gpu: no GPU is a failure).
#
# The exit code is the worst of the steps': 0 done, 1 a test failed, 2 usage, 3 not installable or nothing measured,
# 4 unstable, 124 a step was cut off by its time limit.
set -uo pipefail

part=${2-first}
if (($# < 1 || $# > 2)) || [[ $1 == -* ]] || [[ ! $part =~ ^(first|standard|scenarios)$ ]]; then
    echo "usage: benchmarks/on_gpu.sh FOLDER [first|standard|scenarios]" >&2
    exit 2
fi
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
mkdir -p "$1" || exit 2
folder=$(cd "$1" && pwd) || exit 2
if compgen -G "$folder/*.jsonl" >/dev/null; then
    echo "on_gpu.sh: $folder holds run files already; name another folder" >&2
    exit 2
fi
python=${PYTHON:-python3}
device=${DEVICE:-cuda}
export BENCH_REQUIRE=${BENCH_REQUIRE-gpu}
export PYTHONUTF8=1 PYTHONDONTWRITEBYTECODE=1 NO_COLOR=1 COLUMNS=150

DEADLINE_S=540    # of everything: the nine minutes
TABLE_S=15        # kept back for the table at the end
work=$(mktemp -d) || exit 2
site=$work/site
log=$folder/log.txt
: >"$log"
worst=0
steps=()
child=""
running=""

say() { printf '%s\n' "$*" | tee -a "$log"; }

note_code() { (($1 > worst)) && worst=$1; return 0; }

run_file() { printf '%s/%s.jsonl' "$folder" "$1"; }

# step NAME LIMIT_S COMMAND…: run it within its limit and what is left of the whole, its output into the log.
step() {
    local name=$1 limit=$2 left began code=0
    shift 2
    left=$((DEADLINE_S - TABLE_S - SECONDS))
    if ((left < 10)); then
        say "== $name: left out, no time"
        steps+=("$name|left out|-")
        return 0
    fi
    ((limit > left)) && limit=$left
    say "== $name (at ${SECONDS} s, at most $limit s): $*"
    running=$name
    began=$SECONDS
    # INT first: bench then writes its end line. In the background, so that a signal to this script is not kept waiting;
    # with job control, because bash otherwise starts background commands deaf to INT.
    set -m
    (cd "$work" && exec timeout --signal=INT --kill-after=10 "$limit" "$@") >>"$log" 2>&1 </dev/null &
    child=$!
    set +m
    wait "$child" || code=$?
    child="" running=""
    ((code == 137)) && code=124
    note_code "$code"
    steps+=("$name|$code|$((SECONDS - began))")
    say "== $name: exit $code after $((SECONDS - began)) s"
}

bench() { step "$1" "$2" "$python" -m bench run --device "$device" --out "$(run_file "$1")" --case-timeout 90 "${@:3}"; }

find() { step "find-$1" "$2" "$python" -m bench find --device "$device" --out "$(run_file "find-$1")" "${@:3}"; }

show() {
    [[ -s $(run_file "$1") ]] || return 0
    say ""
    say "-- $1"
    (cd "$work" && timeout 20 "$python" -m bench show "$(run_file "$1")" --format table) 2>&1 | tee -a "$log"
}

finish() {
    trap - INT TERM EXIT
    [[ -n $child ]] && kill -INT "$child" 2>/dev/null && wait "$child" 2>/dev/null
    [[ -n $running ]] && steps+=("$running|cut off|-")
    for name in first quick transfer sustained normal zeros standard scenarios find-fp16 find-int8; do show "$name"; done
    say ""
    printf '%-16s %-9s %s\n' step exit seconds | tee -a "$log"
    for entry in ${steps[@]+"${steps[@]}"}; do
        IFS='|' read -r name code seconds <<<"$entry"
        printf '%-16s %-9s %s\n' "$name" "$code" "$seconds" | tee -a "$log"
    done
    say "log and run files: $folder (worst exit code $worst)"
    rm -rf "$work"
    exit "$worst"
}
trap 'note_code 130; finish' INT TERM
trap finish EXIT

missing() { # of the modules named, those that Python can't find
    local name
    for name in "$@"; do
        "$python" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$name') is None)" || printf '%s ' "$name"
    done
}

install() {
    local name lacking names
    declare -A distribution=([pynvml]=nvidia-ml-py)
    export PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH}
    lacking=$(missing setuptools msgspec tabulate rich psutil pynvml pytest)
    if [[ -n ${WHEELS:-} && -n $lacking ]]; then
        names=(wheel) # what setuptools before 70.1 needs to build one
        for name in $lacking; do names+=("${distribution[$name]:-$name}"); done
        "$python" -m pip install -q --no-index --find-links "$WHEELS" --target "$site" "${names[@]}" \
            || say "$WHEELS does not hold all of: ${names[*]}"
        lacking=$(missing setuptools msgspec tabulate rich psutil pynvml pytest)
    fi
    [[ -n $lacking ]] && say "missing: $lacking(carry wheels and set WHEELS, see the head of this script)"
    for name in setuptools msgspec tabulate psutil; do
        [[ " $lacking" == *" $name "* ]] && return 3
    done
    # A copy: the build writes beside what it builds, and the checkout may be read-only.
    mkdir "$work/source" && cp -r "$checkout"/{bench,kernels,pyproject.toml,README.md,LICENSE} "$work/source/" || return 3
    "$python" -m pip install -q --no-deps --no-build-isolation --no-index --target "$site" "$work/source" || return 3
    "$python" -m bench --version
}

cd "$work" || exit 2
began=$SECONDS
install > >(tee -a "$log") 2>&1
code=$?
steps+=("install|$code|$((SECONDS - began))")
note_code "$code"
((code == 0)) || exit "$code"
say "$("$python" -c 'import torch; print("torch", torch.__version__)' 2>&1 | tail -n 1)"

tests=("$python" -m pytest -c "$checkout/pyproject.toml" --rootdir "$checkout" -p no:cacheprovider -q
    "$checkout/tests/gpu" -m)

test_step() {
    if [[ -z $(missing pytest) ]]; then
        step "$1" "$2" "${tests[@]}" "$3"
    else
        say "== $1: left out, pytest is missing"
        steps+=("$1|left out|-")
        note_code 3
    fi
}

case $part in
first)
    # The main job, before anything that could take its time.
    bench first 60 --kernel memory,gemm --suite quick --budget 45
    test_step tests 120 "not slow"
    bench quick 90 --suite quick --budget 75
    bench transfer 25 --kernel host_to_device,device_to_host --budget 15
    bench sustained 60 --kernel gemm --case m=8192,n=8192,k=8192 --precision fp16,int8 --mode sustained --sustain 10
    bench normal 35 --kernel gemm --suite quick --data normal --budget 25
    bench zeros 35 --kernel gemm --suite quick --data zeros --budget 25
    # Of ranks that share the card, and of a search: more start-up than measuring.
    test_step ranks 60 slow
    ;;
standard)
    bench standard 525 --suite standard --launches 1 --budget 505
    ;;
scenarios)
    bench scenarios 260 --suite scenarios --budget 245
    find fp16 80 --kernel gemm --precision fp16 --budget 60
    find int8 80 --kernel gemm --precision int8 --budget 60
    bench all 110 --suite quick --implementation all --precision fp64,fp32,tf32,bf16,fp16,fp8,int8 --budget 100
    ;;
esac
