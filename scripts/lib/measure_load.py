"""Loads a model on each number of ranks and prints peak memory and time beside the files' size and a plain read.

usage: measure_load.py PROGRAM MODEL RANKS...
"""
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 3


def weight_files(model):
    return sorted(os.path.join(model, f) for f in os.listdir(model) if f.endswith(".safetensors"))


def forget(files):
    """Drops the files' pages from the page cache."""
    for name in files:
        fd = os.open(name, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def plain_read(files):
    buffer = bytearray(8 << 20)
    start = time.monotonic()
    for name in files:
        with open(name, "rb", buffering=0) as f:
            while f.readinto(buffer):
                pass
    return time.monotonic() - start


def children(pid):
    """The process and all below it."""
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as f:
                for child in f.read().split():
                    found += children(int(child))
    except OSError:
        pass
    return found


def shared_once(pids, program):
    """Sum of the proportional set sizes of those that run the program, in bytes."""
    total = 0
    for pid in pids:
        try:
            if os.path.realpath(f"/proc/{pid}/exe") != program:
                continue
            with open(f"/proc/{pid}/smaps_rollup") as f:
                total += int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M).group(1)) * 1024
        except (OSError, AttributeError):
            continue
    return total


def run(program, model, ranks, watch_memory):
    command = [program, "generate", "--model", model, "--prompt", "The", "--max-tokens", "4", "--ignore-eos"]
    if ranks > 1:
        command = ["mpirun", "-np", str(ranks)] + command
    peak = 0
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(command, stderr=messages, stdout=subprocess.DEVNULL)
        while watch_memory and process.poll() is None:
            peak = max(peak, shared_once(children(process.pid), os.path.realpath(program)))
            time.sleep(0.1)
        process.wait()
        messages.seek(0)
        text = messages.read()
    if process.returncode != 0:
        sys.exit(f"{ranks} ranks ended with {process.returncode}:\n{text}")
    return peak, float(re.search(r"loaded .* in ([\d.]+) s", text).group(1))


def available_memory():
    with open("/proc/meminfo") as f:
        return int(re.search(r"^MemAvailable:\s+(\d+) kB", f.read(), re.M).group(1)) * 1024


def time_load(program, model, ranks, files, from_disk):
    """Plain reads and loads in turn; their median times and the median of their ratios."""
    reads, loads = [], []
    for _ in range(ROUNDS):
        for measured, measure in (
            (reads, lambda: plain_read(files)),
            (loads, lambda: run(program, model, ranks, False)[1]),
        ):
            if from_disk:
                forget(files)
            elif measured is reads:
                plain_read(files)
            measured.append(measure())
    ratios = [load / read for load, read in zip(loads, reads)]
    return tuple(statistics.median(values) for values in (reads, loads, ratios))


def main():
    program, model, counts = sys.argv[1], sys.argv[2], [int(n) for n in sys.argv[3:]]
    files = weight_files(model)
    size = sum(os.path.getsize(f) for f in files)
    print(f"{size / 1e9:.2f} GB in {len(files)} files; medians of {ROUNDS} rounds, a plain read and a load in turn")
    for ranks in counts:
        peak, _ = run(program, model, ranks, True)
        print(f"{ranks} ranks: peak {peak / 1e9:.2f} GB = {peak / size:.3f} x the checkpoint", flush=True)
        for from_disk in (True, False):
            if not from_disk and available_memory() < 2.1 * size:
                print("  from the page cache: not measured, this machine's memory does not hold files and model")
                continue
            read, load, ratio = time_load(program, model, ranks, files, from_disk)
            where = "from disk" if from_disk else "from the page cache"
            print(f"  {where}: loaded in {load:.1f} s = {ratio:.2f} x a plain read of {read:.1f} s", flush=True)


main()
