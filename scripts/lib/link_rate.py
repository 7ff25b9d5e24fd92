"""Prints the link rate to try next: link_rate.py PERCENT PROBE.json...

The probes are files of `gracemoe bench ladder --rows occult`, in order, the first at a rate that is hardly felt. Time in
the exchange is taken as what it was there plus bits over rate; "RATE found" if the last probe is near enough.
"""

import json
import sys
from pathlib import Path

NEAR = 2.5  # percent


def probe(path: str) -> tuple[float, float, float]:
    """-> rate in bits a second; seconds in the exchange; the other seconds."""
    ladder = json.loads(Path(path).read_text(encoding="utf-8"))
    row = ladder["rows"][0]
    return ladder["link_bits_per_s"], row["all_to_all_s"], row["end_to_end_s"] - row["all_to_all_s"]


def main() -> None:
    share = float(sys.argv[1]) / 100
    probes = sorted((probe(path) for path in sys.argv[2:]), reverse=True)
    last = probe(sys.argv[-1])
    fast_rate, fast_exchange, fast_rest = probes[0]
    if len(probes) > 1 and abs(100 * last[1] / (last[1] + last[2]) - 100 * share) <= NEAR:
        print(f"{last[0] / 1000:.0f}kbit found")
        return
    rest = fast_rest if len(probes) == 1 else last[2]
    wanted = share / (1 - share) * rest
    if wanted <= fast_exchange:
        sys.exit(f"at {fast_rate / 1e6:.0f} Mbit/s the exchange already takes {fast_exchange:.2f} s of"
                 f" {fast_exchange + fast_rest:.2f} s: no slower link gives a share of {share:.0%}")
    row = json.loads(Path(sys.argv[-1]).read_text(encoding="utf-8"))["rows"][0]
    bits = row["busiest_link_mb"] * 8e6 if len(probes) == 1 else max(last[1] - fast_exchange, 1e-3) * last[0]
    print(f"{bits / (wanted - fast_exchange) / 1000:.0f}kbit")


if __name__ == "__main__":
    main()
