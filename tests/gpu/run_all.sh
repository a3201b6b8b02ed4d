#!/usr/bin/env bash
# Check and time multigrad on a GPU, from a bare checkout; README.md beside this file says what comes out.
#
#   tests/gpu/run_all.sh [--device cuda] [--backend torch,cupy,jax] [--ops a,b,c] [--minutes 9] [FOLDER]
#
# The same command goes on with a run that was killed. Exit 1 where something FAILs, 2 where a stage did not end.
set -u

device=cuda backends=torch,cupy,jax ops='' minutes=9 out=${OUT:-}
while [ $# -gt 0 ]; do
    case $1 in
    --device) device=$2 && shift 2 ;;
    --backend) backends=$2 && shift 2 ;;
    --ops) ops=$2 && shift 2 ;;
    --minutes) minutes=$2 && shift 2 ;;
    -*) echo "no option $1; there are --device, --backend, --ops, --minutes" >&2 && exit 3 ;;
    *) out=$1 && shift ;;
    esac
done
root=$(cd "$(dirname "$0")/../.." && pwd) || exit 3
out=${out:-$root/results/gpu}
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 3
cd "$root" || exit 3

# Whatever a killed script has left running holds the lock until it ends: two writers would spoil a file.
exec 9>"$out/lock"
flock --wait 5 9 || { echo "another run is still at work in $out; wait for it, or end it" >&2 && exit 3; }

python=${PYTHON:-python3}
carried=${CARRIED:-$root/tests/gpu/carried}
export PYTHONPATH="$root:$carried${PYTHONPATH:+:$PYTHONPATH}"
export MULTIGRAD_REFERENCES=${MULTIGRAD_REFERENCES:-$out/references}
multigrad=("$python" -m multigrad.bench.cli)

# stage NAME SHARE SIGNAL COMMAND…: run a command for its share (in thousandths) of the time at most, and note how it
# ended. What was killed meanwhile has a line without an exit code.
stage() {
    local name=$1 limit=$(($2 * minutes * 60 / 1000)) signal=$3 start=$SECONDS code
    shift 3
    printf '%s\t\t%s\t\n' "$name" "$limit" >>"$out/stages.tsv"
    timeout --foreground --signal="$signal" --kill-after=5 "$limit" env --default-signal=INT "$@" >>"$out/$name.log" 2>&1
    code=$?
    printf '%s\t%s\t%s\t%s\n' "$name" $((SECONDS - start)) "$limit" "$code" >>"$out/stages.tsv"
}

# check NAME SHARE OPTION…: a check whose rows go to NAME.jsonl as they come; one that was stopped goes on.
check() {
    local name=$1 share=$2 journal=--resume
    shift 2
    if [ ! -s "$out/$name.jsonl" ]; then
        rm -f "$out/$name.jsonl"
        journal=--journal
    fi
    stage "$name" "$share" TERM "${multigrad[@]}" check --device "$device" "$journal" "$out/$name.jsonl" "$@"
}

# only A,B C,D: the names of the first list that are in the second.
only() {
    local name list=''
    for name in ${1//,/ }; do [[ ,$2, == *,"$name",* ]] && list+=${list:+,}$name; done
    echo "$list"
}

stage smoke 60 TERM "$python" -m tests.gpu.smoke "$out" --device "$device" --backend "$backends"
here=$backends
[ -s "$out/here.txt" ] && here=$(cat "$out/here.txt")
eager=$(only "$here" torch,cupy,numpy) compiled=$(only "$here" jax)

chosen=()
[ -n "$ops" ] && IFS=, read -ra chosen <<<"$ops"
names=("${chosen[@]}")
[ -n "$eager" ] && check eager 420 --backend "$eager" --mode eager --variant analytic --dtype float64,float32 "${names[@]}" &
[ -n "$compiled" ] && check compiled 420 --backend "$compiled" --mode compiled --variant analytic --dtype float64,float32 "${names[@]}" &
wait

[ -n "$ops" ] || IFS=, read -ra names < <("$python" -m tests.gpu.select_operations 20)
[ -n "$here" ] && check everything 190 --backend "$here" --regime gaussian,relations "${names[@]}"

unfinished=$(find "$out/study" -name journal.jsonl -printf '%h\n' 2>/dev/null | head -n 1)
finished=$(find "$out/study" -name summary.csv 2>/dev/null | head -n 1)
timed=$(only "$here" torch,cupy,jax)
if [ -n "$unfinished" ]; then
    stage study 260 INT "${multigrad[@]}" bench --resume "$unfinished"
elif [ -z "$finished" ] && [ -n "$timed" ]; then
    stage study 260 INT "${multigrad[@]}" bench --study tests/gpu/study.toml --quick \
        --device "$device" --backend "$timed" --out "$out/study" --markdown "$out/study.md" "${chosen[@]}"
fi

"$python" -m tests.gpu.summary "$out"
