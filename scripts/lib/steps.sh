# Sourced by scripts that do several things one after the other: a heading for each, and what it took.

steps_started=$EPOCHREALTIME
failed_steps=()

seconds_since() {  # an EPOCHREALTIME
  local microseconds=$((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}))
  printf '%d.%d' $((microseconds / 1000000)) $((microseconds / 100000 % 10))
}

heading() {
  printf '\n==> [%s s] %s\n' "$(seconds_since "$steps_started")" "$1"
}

# step TITLE COMMAND...: runs it, says how long it took, and remembers it when it failed.
step() {
  local title=$1 started=$EPOCHREALTIME code=0
  shift
  heading "$title"
  "$@" || code=$?
  if ((code == 0)); then
    printf '    done in %s s\n' "$(seconds_since "$started")"
  else
    printf '    FAILED (exit code %d) after %s s: %s\n' "$code" "$(seconds_since "$started")" "$title"
    failed_steps+=("$title")
  fi
  return "$code"
}

# Open MPI starts nothing as root, and not more ranks than cores, unless told to; both are meant here.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none

# OpenMP's threads wait asleep, not spinning: on a machine that is doing something else too, spinning made a profile run
# on two cores seven times slower (393 against 2,840 tokens a second).
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}

# Where ccache is, it serves other checkouts too: paths count from the root, unless the environment says otherwise.
if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER-ccache}
  export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$PWD} CCACHE_NOHASHDIR=${CCACHE_NOHASHDIR:-1}
fi

configure_and_build() {  # preset
  cmake --preset "$1" && cmake --build --preset "$1"
}
