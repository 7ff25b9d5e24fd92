"""Prints the link rate to try next: link_rate.py PERCENT PROBE.json...

The probes are files of `gracemoe bench ladder --rows occult`, in order. The first two are worked out from what the link makes
of its bits; once one probe lies on either side of the wanted share, the rate between them: a shaper lets bursts pass
faster than its rate, so that no formula holds near where the link stops being felt. "RATE found" if a probe is near enough.
"""

import json
import math
import sys
from pathlib import Path

NEAR = 0.04
FASTEST = 40e9  # bits a second


def probe(path: str) -> tuple[float, float, float, float]:
    """-> rate in bits a second; share of the time in the exchange; the other seconds; bits over the busiest link."""
    ladder = json.loads(Path(path).read_text(encoding="utf-8"))
    row = ladder["rows"][0]
    share = row["all_to_all_s"] / row["end_to_end_s"]
    return ladder["link_bits_per_s"], share, row["end_to_end_s"] - row["all_to_all_s"], row["busiest_link_mb"] * 8e6


def between(slow: tuple[float, float], fast: tuple[float, float], share: float) -> float:
    """A rate between two of (rate, share), straight in the rate's logarithm, and not close to either."""
    part = (slow[1] - share) / (slow[1] - fast[1])
    part = min(max(part, 0.2), 0.8)
    return math.exp(math.log(slow[0]) * (1 - part) + math.log(fast[0]) * part)


def next_rate(probes: list[tuple[float, float, float, float]], share: float) -> float:
    slower = [p[:2] for p in probes if p[1] > share]
    faster = [p[:2] for p in probes if p[1] <= share]
    if slower and faster:
        return between(max(slower), min(faster), share)
    rate, _, rest, bits = probes[-1]
    if faster:  # the link alone would give the share at the first of these rates
        return min(bits / (share / (1 - share) * rest), min(faster)[0] / 2)
    if max(slower)[0] >= FASTEST:
        sys.exit(f"at {rate / 1e9:.0f} Gbit/s the exchange still takes {probes[-1][1]:.0%} of the time: no link gives a share of"
                 f" {share:.0%}. Is the machine busy?")
    return min(max(slower)[0] * 3, FASTEST)


def main() -> None:
    share = float(sys.argv[1]) / 100
    probes = [probe(path) for path in sys.argv[2:]]
    nearest = min(probes, key=lambda p: abs(p[1] - share))
    if abs(nearest[1] - share) <= NEAR:
        print(f"{nearest[0] / 1e6:.3f}mbit found")
    else:
        print(f"{next_rate(probes, share) / 1e6:.3f}mbit")


if __name__ == "__main__":
    main()
