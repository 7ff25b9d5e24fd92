#!/usr/bin/env bash
# faults.sh MPIEXEC SOAK_PROGRAM COUNT [SEED] [WAY]: starts the soak on 4 ranks COUNT times and, at a random moment, does to a
# random rank one of: kill (SIGKILL), stop (SIGSTOP), slow (stopped and continued many times a second). A killed rank must
# end the job; so must a stopped one, and the first rank to speak must name it, and no other; a slow one must not. Each
# within its time. Prints a line a run; exit code 1 if one did otherwise.
set -u
mpiexec=$1 program=$2 count=$3 seed=${4:-1} only=${5:-}
timeout=3        # seconds, given to the program
seconds=4        # that an undisturbed soak takes
kill_patience=6  # seconds until mpirun has ended the others
# A stopped rank is named after the timeout, by a rank that waits for it itself; a wait that hangs on others' is given up to a
# second more (its depth), and mpirun takes its time to end stopped processes, on busy cores some seconds.
stop_patience=$((timeout + 6))
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

now() {  # milliseconds
  local time=${EPOCHREALTIME/[.,]/}
  echo $((time / 1000))
}

# Of the first complaint: whom it names, such as "2" or "1, 3".
first_named() {
  sed -nE 's/.*rank [0-9]: no message from ranks? ([0-9, ]*) for .*/\1/p; s/.*rank [0-9]: ranks? ([0-9, ]*) took no message.*/\1/p' "$log" |
    head -n 1
}

one_run() {  # NUMBER WAY RANK
  local way=$2 rank=$3 launcher code process
  : >"$log"  # here, not when the other process comes to it: its ranks are looked for at once
  timeout --kill-after=5 120 "$mpiexec" -n 4 "$program" "$seconds" $((seed * 1000 + $1)) "$timeout" 2x2 >"$log" 2>&1 &
  launcher=$!
  for _ in $(seq 300); do
    [[ $(grep -c 'is process' "$log") == 4 ]] && break
    sleep 0.1
  done
  process=$(rank_process "$rank")
  if [[ -z $process ]]; then
    echo "run $1: the ranks did not start: $(head -c 600 "$log" | tr '\n' ' ')"
    wait "$launcher"
    return 1
  fi
  sleep "0.$((RANDOM % 10))"
  local disturbed
  disturbed=$(now)
  disturb "$way" "$process" 2>/dev/null
  wait "$launcher"
  code=$?
  kill -KILL "$process" 2>/dev/null  # a stopped one that mpirun has left behind
  local took=$(($(now) - disturbed)) said
  said=$(grep -ohE 'rank [0-9]: no message from ranks? [0-9, ]*for [0-9.]+ seconds \([^)]*\)|rank [0-9]: ranks? [0-9, ]*took no message[^)]*\)|signal 9|MPI says .*|ok: [0-9]* cases' "$log" | head -n 1)
  echo "run $1: $way rank $rank: exit code $code after $took ms: $said"
  case $way in
    kill) ((code != 0 && code != 124 && took <= 1000 * kill_patience)) ;;
    stop)
      ((code != 0 && code != 124 && took >= 1000 * timeout / 2 && took <= 1000 * stop_patience)) &&
        [[ $said == *"seconds ("* && $(first_named) == "$rank" ]]
      ;;
    slow) ((code == 0)) ;;
  esac && return 0
  cat "$log"
  return 1
}

ways=(kill stop slow)
bad=0
for ((i = 1; i <= count; ++i)); do
  way=${only:-${ways[RANDOM % 3]}}
  rank=$((RANDOM % 4))
  if ! one_run "$i" "$way" "$rank"; then
    echo "run $i: WRONG"
    bad=$((bad + 1))
  fi
done
echo "$count runs, $bad wrong"
((bad == 0))
