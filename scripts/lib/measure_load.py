"""Loads a model on each number of ranks and prints peak memory and time beside the files' size and a plain read.

usage: measure_load.py PROGRAM MODEL RANKS...     (ROUNDS in the environment: how often in turn, 3)
"""
import json
import mmap
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = int(os.environ.get("ROUNDS", "3"))
POPULATE_WRITE = 23  # MADV_POPULATE_WRITE, Linux 5.14


def weight_files(model):
    return sorted(os.path.join(model, f) for f in os.listdir(model) if f.endswith(".safetensors"))


def forget(files):
    """Drops the files' pages from the page cache."""
    for name in files:
        fd = os.open(name, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def warm_memory(size):
    """Writes to so much free memory once. The host of a virtual machine may have taken it back: finding it again takes
    longer than anything that is measured here, and whoever comes first would pay for it."""
    size = min(size, int(0.85 * available_memory())) >> 21 << 21
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        memory.madvise(POPULATE_WRITE)


def plain_read(files):
    buffer = bytearray(8 << 20)
    start = time.monotonic()
    for name in files:
        with open(name, "rb", buffering=0) as f:
            while f.readinto(buffer):
                pass
    return time.monotonic() - start


def needed_by(rank, ranks, files):
    """Ranges of bytes of each file that a rank loads without a plan: all but the other ranks' experts, neighbours joined."""
    with open(os.path.join(os.path.dirname(files[0]), "config.json")) as f:
        config = json.load(f)
    experts = config.get("num_experts") or config["n_routed_experts"]
    own = range(rank * experts // ranks, (rank + 1) * experts // ranks)
    needed = []
    for name in files:
        with open(name, "rb") as f:
            header_size = int.from_bytes(f.read(8), "little")
            header = json.loads(f.read(header_size))
        ranges = []
        for tensor, entry in sorted(header.items(), key=lambda e: e[1].get("data_offsets", [0])):
            expert = re.search(r"\.experts\.(\d+)\.", tensor)
            if tensor == "__metadata__" or (expert and int(expert[1]) not in own):
                continue
            first, last = (8 + header_size + at for at in entry["data_offsets"])
            if ranges and ranges[-1][1] == first:
                ranges[-1][1] = last
            else:
                ranges.append([first, last])
        needed.append((name, ranges))
    return needed


def read_ranges(needed):
    """The exit status: 1, with a message, where a file ends before its ranges do."""
    buffer = memoryview(bytearray(8 << 20))
    for name, ranges in needed:
        with open(name, "rb", buffering=0) as f:
            for at, last in ranges:
                f.seek(at)
                while at < last:
                    got = f.readinto(buffer[: min(len(buffer), last - at)])
                    if not got:
                        print(f"{name}: got its end at byte {at}, wanted {last} as its header says; make it anew",
                              file=sys.stderr)
                        return 1
                    at += got
    return 0


def plain_read_of_ranks(files, ranks):
    """So many processes at once that each read in order the bytes that a rank needs, and throw them away."""
    parts = [needed_by(rank, ranks, files) for rank in range(ranks)]
    start = time.monotonic()
    readers = []
    for part in parts:
        reader = os.fork()
        if reader == 0:
            os._exit(read_ranges(part))
        readers.append(reader)
    for reader in readers:
        if os.waitpid(reader, 0)[1] != 0:
            sys.exit("a reader failed")
    return time.monotonic() - start


def read_into_memory(files):
    """A plain read that keeps what it reads, in new memory of huge pages, as any loader must."""
    start = time.monotonic()
    kept = []
    for name in files:
        memory = mmap.mmap(-1, os.path.getsize(name), flags=mmap.MAP_PRIVATE)
        memory.madvise(mmap.MADV_HUGEPAGE)
        with memoryview(memory) as view, open(name, "rb", buffering=0) as f:
            at = 0
            while read := f.readinto(view[at : at + (8 << 20)]):
                at += read
        kept.append(memory)
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
    """The kinds of plain reads and loads in turn: median times, and each round's ratios of a load to them, ascending."""
    measures = (
        lambda: plain_read(files),
        lambda: plain_read_of_ranks(files, ranks),
        lambda: read_into_memory(files),
        lambda: run(program, model, ranks, False)[1],
    )
    size = sum(os.path.getsize(f) for f in files)
    rounds = []
    for _ in range(ROUNDS):
        if not from_disk:
            plain_read(files)
        times = []
        for measure in measures:
            if from_disk:
                forget(files)
            warm_memory(int((2.2 if from_disk else 1.2) * size))
            times.append(measure())
        rounds.append(times)
    median = lambda values: statistics.median(list(values))
    times = [median(r[i] for r in rounds) for i in range(4)]
    return times, [sorted(r[3] / r[i] for r in rounds) for i in range(3)]


def spread(ratios):
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) x"


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
            (read, of_ranks, kept, load), ratios = time_load(program, model, ranks, files, from_disk)
            print(
                f"  from {'disk' if from_disk else 'the page cache'}: loaded in {load:.1f} s"
                f" = {spread(ratios[0])} a plain read of {read:.1f} s"
                f" = {spread(ratios[1])} {ranks} at once of what each rank needs, {of_ranks:.1f} s"
                f" = {spread(ratios[2])} one into new memory, {kept:.1f} s",
                flush=True,
            )


main()
