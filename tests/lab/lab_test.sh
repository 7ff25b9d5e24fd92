#!/usr/bin/env bash
# The lab's tests: lab_test.sh CASE SOURCE_FOLDER MPI_PROBE GRACEMOE. Exits 77 (skipped) where emulated hosts are not permitted.
set -uo pipefail
case_name=$1 source=$2 probe=$3 gracemoe=$4
lab_run=$source/lab/run
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAILED: $*"
  for file in "$work"/*; do
    [[ -f $file ]] && { echo "--- ${file##*/}"; cat "$file"; }
  done
  exit 1
}

# Whatever a run starts inherits this, so a process of it that is left, and a namespace held by it, can be found.
export LAB_TEST_MARK="lab-test-$$-$RANDOM"
left_processes() {
  local here there pid
  here=$(readlink /proc/self/ns/net)
  grep -lsz "^LAB_TEST_MARK=$LAB_TEST_MARK\$" /proc/[0-9]*/environ | cut -d/ -f3 | while read -r pid; do
    there=$(readlink "/proc/$pid/ns/net") && [[ $there != "$here" ]] && echo "$pid"
  done
}
export TMPDIR=$work/tmp
mkdir "$TMPDIR"
expect_nothing_left() {
  local tries=0
  while [[ $(left_processes) ]]; do
    ((++tries < 50)) || fail "processes in namespaces of the run are left: $(left_processes | tr '\n' ' ')"
    sleep 0.1
  done
  [[ -z $(ls "$TMPDIR") ]] || fail "files are left: $(ls "$TMPDIR")"
  [[ $(ls /sys/class/net) == "$links_before" ]] || fail "network interfaces are left: $(ls /sys/class/net)"
}
links_before=$(ls /sys/class/net)

wait_for_line() {  # file pattern
  local tries=0
  until grep -qs "$2" "$1"; do
    ((++tries < 200)) || fail "no line '$2' in ${1##*/}"
    sleep 0.1
  done
}

bring_up() {
  "$lab_run" --nodes 2 --devices 2 --rate none -- "$probe" >"$work/out" 2>"$work/err" || fail "exit code $?"
  diff - <(sort "$work/out") <<'TEXT' || fail "ranks are not where they should be"
rank 0 of 4 on node0 with 2
rank 1 of 4 on node0 with 2
rank 2 of 4 on node1 with 2
rank 3 of 4 on node1 with 2
TEXT
  expect_nothing_left
}

failing_program() {
  "$lab_run" --nodes 3 --devices 1 --rate none -- sh -c 'exit 7' >"$work/out" 2>"$work/err"
  local code=$?
  ((code == 7)) || fail "exit code $code, wanted the program's own 7"
  expect_nothing_left
}

killed() {  # signal wanted-exit-code
  "$lab_run" --rate none -- sh -c 'echo started; exec sleep 60' >"$work/out" 2>"$work/err" &
  local run=$! code=0
  wait_for_line "$work/out" started
  [[ $(left_processes | wc -l) -ge 4 ]] || fail "the check for processes left sees none of a live run"
  kill "-$1" "$run"
  wait "$run" 2>/dev/null || code=$?
  ((code == $2)) || fail "exit code $code after SIG$1, wanted $2"
  [[ $1 == KILL ]] && rm -rf "$TMPDIR"/* # nobody is there to remove its folder
  expect_nothing_left
}

out_of_time() {
  "$lab_run" --rate none --timeout 1 -- sleep 60 >"$work/out" 2>"$work/err"
  local code=$?
  ((code == 124)) || fail "exit code $code, wanted 124"
  expect_nothing_left
}

bad_usage() {
  local arguments code
  while read -r arguments; do
    # shellcheck disable=SC2086
    "$lab_run" $arguments >"$work/out" 2>"$work/err"
    code=$?
    ((code == 2)) && grep -q "^lab/run: " "$work/err" || fail "'$arguments': exit code $code, wanted 2 and a reason"
  done <<'TEXT'
--nodes 0 -- true
--devices many -- true
--rate 100 -- true
--rate 0mbit -- true
--timeout -1 -- true
--counters /nowhere/at/all -- true
--no-such-option -- true
--nodes
--rate none
TEXT
}

# 6 MB at 100 Mbit/s, five times; headers take 5% to 6% of a 1,500 byte frame. Both bounds are on the payload.
link_rate() {
  "$lab_run" --rate 100mbit --counters "$work/counters" -- "$probe" 6000000 >"$work/out" 2>"$work/err" ||
    fail "exit code $?"
  local rate sent
  rate=$(awk '$1 == "payload_bits_per_s" { print $2 }' "$work/out")
  ((rate > 85000000 && rate < 104000000)) || fail "payload at $rate bits a second over a link of 100 Mbit/s"
  sent=$(grep node0 "$work/counters" | sed 's/.*"after".*"tx_bytes": \([0-9]*\).*/\1/')
  ((sent > 30000000 && sent < 33000000)) || fail "node0 counts $sent bytes sent, of a payload of 30,000,000"
  expect_nothing_left
}

generate_over_links() {  # name, "options of the lab", options of generate...
  # shellcheck disable=SC2086
  "$lab_run" $2 --rate 300mbit --counters "$work/$1.link.json" -- \
    "$gracemoe" generate --model "$source/models/gracemoe-demo" --packing sums "${@:3}" \
    --prompts-from "$source/data/text/prose.txt,$source/data/text/math.txt" --num-prompts 24 --prompt-tokens 64 \
    --max-tokens 4 --stats "$work/$1.json" --out "$work/$1.jsonl" --quiet >"$work/out" 2>"$work/err" ||
    fail "exit code $? with $1"
  cmp "$work/flat-expert.jsonl" "$work/$1.jsonl" >>"$work/out" || fail "another text with $1"
}

# Packing is given: to choose it messages are timed, which no counter of the run has.
# What the program counts as sent to other nodes is what the interfaces carried, headers aside; and the text is the same.
byte_counters() {
  local exchange
  for exchange in flat-expert flat-device hierarchical; do
    generate_over_links "$exchange" "" --exchange "$exchange"
  done
  generate_over_links rails --rails --exchange hierarchical --topology 2x2 --intra shared
  generate_over_links rails-messages --rails --exchange flat-device --topology 2x2 --intra mpi
  python3 "$source/scripts/lib/link_check.py" "$work"/{flat-expert,flat-device,hierarchical,rails,rails-messages} ||
    fail "the program and the interfaces count different bytes"
}

between() {  # what value smallest largest
  (($2 >= $3 && $2 <= $4)) || fail "$1: $2, wanted $3 to $4"
}

expect_sent() {  # host, what its link to other nodes and that inside its node should have carried: smallest largest, twice
  local -a v # tx_bytes of the one, before and after, and of the other
  mapfile -t v < <(grep "\"$1\"" "$work/counters" | grep -o '"tx_bytes": [0-9]*' | grep -o '[0-9]*$')
  ((${#v[@]} == 4)) || fail "no counters of $1"
  between "bytes that $1 sent to other nodes" $((v[1] - v[0])) "$2" "$3"
  between "bytes that $1 sent inside its node" $((v[3] - v[2])) "$4" "$5"
}

# Five times 2 MB from each device of the first node to the second, both at once, then from one to the other inside it.
rails() {
  local rate
  "$lab_run" --rails --rate 20mbit --counters "$work/counters" -- "$probe" 2000000 2 >"$work/out" 2>"$work/err" ||
    fail "exit code $?"
  diff - <(grep ^rank "$work/out" | sort) <<'TEXT' || fail "ranks are not where they should be"
rank 0 of 4 on node0-0 with 1
rank 1 of 4 on node0-1 with 1
rank 2 of 4 on node1-0 with 1
rank 3 of 4 on node1-1 with 1
TEXT
  rate=$(awk '$1 == "rails_bits_per_s" { print $2 }' "$work/out")
  between "bits a second over two links of 20 Mbit/s" "$rate" 25000000 40000000
  rate=$(awk '$1 == "inside_bits_per_s" { print $2 }' "$work/out")
  between "bits a second inside a node" "$rate" 25000000 1000000000000
  expect_sent node0-0 10000000 11000000 10000000 11000000
  expect_sent node0-1 10000000 11000000 0 1000000
  expect_nothing_left

  local code=0
  "$lab_run" --rails --nodes 64 --devices 4 -- true >"$work/out" 2>"$work/err" || code=$?
  ((code == 2)) && grep -q "at most 254 devices.*64 nodes of 4" "$work/err" || fail "256 rails: exit code $code"
}

"$lab_run" --check || [[ $case_name == bad_usage ]] || exit 77
case $case_name in
  terminated) killed TERM 143 ;;
  killed) killed KILL 137 ;;
  *) "$case_name" ;;
esac
