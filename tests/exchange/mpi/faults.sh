#!/usr/bin/env bash
# faults.sh MPIEXEC SOAK_PROGRAM COUNT [SEED] [WAY]: starts the soak on 4 ranks COUNT times and, at a random moment, does to a
# random rank one of: kill (SIGKILL), stop (SIGSTOP), slow (stopped and continued many times a second). A killed rank must
# end the job; so must a stopped one, with an error that says which rank was waited for; a slow one must not. Each
# within its time. Prints a line a run; exit code 1 if one did otherwise.
set -u
mpiexec=$1 program=$2 count=$3 seed=${4:-1} only=${5:-}
timeout=3     # seconds, given to the program
seconds=4     # that an undisturbed soak takes
patience=25   # for an end in error: the timeout, what deeper waits are given on top, mpirun's own end
RANDOM=$seed
log=$(mktemp)
trap 'rm -f "$log"' EXIT

rank_process() {  # RANK
  sed -n "s/.*rank $1 is process \([0-9]*\).*/\1/p" "$log" | head -n 1
}

disturb() {  # WAY PROCESS
  case $1 in
    kill) kill -KILL "$2" ;;
    stop) kill -STOP "$2" ;;
    slow)
      for _ in 1 2 3 4 5 6 7 8 9 10; do
        kill -STOP "$2" 2>/dev/null && sleep 0.08
        kill -CONT "$2" 2>/dev/null && sleep 0.02
      done
      ;;
  esac
}

one_run() {  # NUMBER WAY RANK
  local way=$2 rank=$3 launcher code started=$SECONDS process
  timeout --kill-after=5 120 "$mpiexec" -n 4 "$program" "$seconds" $((seed * 1000 + $1)) "$timeout" 2x2 >"$log" 2>&1 &
  launcher=$!
  for _ in $(seq 300); do
    [[ $(grep -c 'is process' "$log") == 4 ]] && break
    sleep 0.1
  done
  process=$(rank_process "$rank")
  if [[ -z $process ]]; then
    echo "run $1: the ranks did not start"
    wait "$launcher"
    return 1
  fi
  sleep "0.$((RANDOM % 10))"
  local disturbed=$SECONDS
  disturb "$way" "$process" 2>/dev/null
  wait "$launcher"
  code=$?
  kill -KILL "$process" 2>/dev/null  # a stopped one that mpirun has left behind
  local took=$((SECONDS - disturbed)) said
  said=$(grep -ohE 'rank [0-9]: no message from ranks? [0-9, ]*for [0-9.]+ seconds \([^)]*\)|rank [0-9]: ranks? [0-9, ]*took no message[^)]*\)|signal 9|MPI says .*|ok: [0-9]* cases' "$log" | head -n 1)
  echo "run $1: $way rank $rank: exit code $code after $took s: $said"
  case $way in
    kill) ((code != 0 && code != 124 && took <= patience)) ;;
    stop) ((code != 0 && code != 124 && took <= patience)) && [[ $said == *"seconds ("* ]] ;;
    slow) ((code == 0)) ;;
  esac && return 0
  cat "$log"
  return 1
}

ways=(kill stop slow)
bad=0 right=0 stopped=0
for ((i = 1; i <= count; ++i)); do
  way=${only:-${ways[RANDOM % 3]}}
  rank=$((RANDOM % 4))
  if ! one_run "$i" "$way" "$rank"; then
    echo "run $i: WRONG"
    bad=$((bad + 1))
  fi
  if [[ $way == stop ]]; then
    stopped=$((stopped + 1))
    grep -qE "(no message from ranks? [0-9, ]*$rank|ranks? [0-9, ]*$rank[0-9, ]* took no message)" "$log" && right=$((right + 1))
  fi
done
echo "$count runs, $bad wrong; of $stopped stops $right named the stopped rank"
((bad == 0))
