"""Prints the link rate to try next: link_rate.py PERCENT PROBE.json...

The probes are files of `gracemoe bench ladder --rows occult`, in order, the first at a rate that is hardly felt. Time in
the exchange is taken as what it was there plus bits over rate; "RATE found" if the last probe is near enough.
"""

import json
import sys
from pathlib import Path

NEAR = 0.025


def probe(path: str) -> tuple[float, float, float]:
    """-> rate in bits a second; seconds in the exchange; the other seconds."""
    ladder = json.loads(Path(path).read_text(encoding="utf-8"))
    row = ladder["rows"][0]
    return ladder["link_bits_per_s"], row["all_to_all_s"], row["end_to_end_s"] - row["all_to_all_s"]


def main() -> None:
    share = float(sys.argv[1]) / 100
    probes = [probe(path) for path in sys.argv[2:]]
    rate, exchange, rest = probes[-1]
    if len(probes) > 1 and abs(exchange / (exchange + rest) - share) <= NEAR:
        print(f"{rate / 1e6:.3f}mbit found")
        return
    fast_rate, unfelt, _ = probes[0]
    wanted = share / (1 - share) * rest
    if wanted <= unfelt:
        sys.exit(f"at {fast_rate / 1e6:.0f} Mbit/s the exchange already takes {unfelt:.2f} s beside {rest:.2f} s of other"
                 f" work: no slower link gives a share of {share:.0%}. Is the machine busy?")
    row = json.loads(Path(sys.argv[-1]).read_text(encoding="utf-8"))["rows"][0]
    bits = row["busiest_link_mb"] * 8e6
    if len(probes) > 1:  # what the link makes of its bits, within reason: probes scatter
        bits *= min(max((exchange - unfelt) * rate / bits, 1), 1.6)
    print(f"{max(bits / (wanted - unfelt), rate / 4 if len(probes) > 1 else 0) / 1e6:.3f}mbit")


if __name__ == "__main__":
    main()
