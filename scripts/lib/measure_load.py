"""Loads a model on each number of ranks and prints peak memory and time beside the files' size and a plain read.

usage: measure_load.py PROGRAM MODEL RANKS...
"""
import os
import re
import subprocess
import sys
import tempfile
import time


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


def run(program, model, ranks):
    command = [program, "generate", "--model", model, "--prompt", "The", "--max-tokens", "4", "--ignore-eos"]
    if ranks > 1:
        command = ["mpirun", "-np", str(ranks)] + command
    peak = 0
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(command, stderr=messages, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            peak = max(peak, shared_once(children(process.pid), os.path.realpath(program)))
            time.sleep(0.1)
        messages.seek(0)
        text = messages.read()
    if process.returncode != 0:
        sys.exit(f"{ranks} ranks ended with {process.returncode}:\n{text}")
    return peak, float(re.search(r"loaded .* in ([\d.]+) s", text).group(1))


def main():
    program, model, counts = sys.argv[1], sys.argv[2], [int(n) for n in sys.argv[3:]]
    files = weight_files(model)
    size = sum(os.path.getsize(f) for f in files)
    print(f"{size / 1e9:.2f} GB in {len(files)} files")
    for ranks in counts:
        forget(files)
        read = plain_read(files)
        forget(files)
        peak, load = run(program, model, ranks)
        print(f"{ranks} ranks: peak {peak / 1e9:.2f} GB = {peak / size:.3f} x the checkpoint; "
              f"loaded in {load:.1f} s = {load / read:.2f} x a plain read of {read:.1f} s", flush=True)


main()
