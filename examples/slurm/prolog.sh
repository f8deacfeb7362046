#!/usr/bin/env bash
# Slurm prolog: measures the GPUs of the node for at most a minute; a sick one drains the node, and the job is requeued.
#
# slurm.conf:  Prolog=/etc/slurm/prolog.sh   PrologFlags=Alloc   PrologEpilogTimeout=120
# Slurm gives a prolog no environment but its own: change the defaults below, or call it from a script that sets them.
# Try it by hand first: a node whose disk is so slow that torch is not there in BENCH_LIMIT_S counts as hung.
# Exit code 0: the node takes the job. 1: Slurm drains the node. Whatever is wrong with this check itself is no reason
# to drain anything: it is logged, and the node takes the job.
set -uo pipefail

python=${BENCH_PYTHON:-/opt/suanli-bench/bin/python}
store=${BENCH_STORE:-/var/lib/suanli-bench}
device=${BENCH_DEVICE:-cuda}
# A card's slices (MIG) have lines of their own below it.
gpus=${BENCH_GPUS:-$(nvidia-smi --list-gpus 2>/dev/null | grep -c '^GPU ')}
limit_s=${BENCH_LIMIT_S:-55}
# Without one bash looks where it always does; what it starts would look nowhere.
export PATH

say() { logger --tag suanli-bench -- "$1" 2>/dev/null || printf 'suanli-bench: %s\n' "$1" >&2; }
drain() {
    say "node drained: $1"
    # Slurm gives the reason "Prolog error" itself; ours says more. Without the right to, its own stands.
    scontrol update NodeName="${SLURMD_NODENAME:-$(hostname -s)}" State=DRAIN Reason="suanli-bench: ${1:0:200}" 2>/dev/null
    exit 1
}

if [[ ! -x $python ]] || ! mkdir -p "$store" 2>/dev/null; then
    say "no check: $python cannot be run or $store cannot be written"
    exit 0
fi
((gpus > 0)) || drain "the driver presents no GPU"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
run=$store/$(date -u +%Y%m%dT%H%M%SZ)-$$.jsonl
launch=(-m torch.distributed.run --standalone --nproc-per-node="$gpus" -m)
((gpus > 1)) || launch=(-m)

# Of two sizes one is bound by arithmetic and one by memory; all GPUs at once, so that they share power and cooling.
timeout --kill-after=5 "$limit_s" "$python" "${launch[@]}" bench run --device "$device" --kernel gemm \
    --case m=4096,n=4096,k=4096 --case m=16,n=4096,k=4096 --precision fp16 --implementation torch \
    --budget 30 --out "$run" >"$log" 2>&1
code=$?
if [[ ! -s $run ]]; then
    # torchrun makes every failure a 1: the words tell a GPU that can't be measured from a mistake in this script.
    why=$(grep -m 1 -o 'no rank could measure: .*' "$log") || why=$(tail -n 1 "$log")
    case $code in
        124 | 137) drain "no answer from the GPUs in $limit_s s" ;;
        3) drain "$why" ;;
        *) [[ $why == "no rank could measure"* ]] && drain "$why" ;;
    esac
    say "no check: $why"
    exit 0
fi

# Against one another, and against what this node measured before; a line wide enough for the whole reason.
COLUMNS=250 "$python" -m bench fleet "$run" --results "$store" >"$log" 2>&1
case $? in
    1) drain "$(grep -m 1 "^SICK" "$log" || head -n 1 "$log")" ;;
    0) ;;
    *) say "no verdict: $(tail -n 1 "$log")" ;;
esac
exit 0
