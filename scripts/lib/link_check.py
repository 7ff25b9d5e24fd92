"""Holds what a run counted as sent to other nodes against what the lab's interfaces counted: link_check.py RUN...

For every RUN reads RUN.json (gracemoe generate --stats) and RUN.link.json (lab/run --counters). The interfaces also count
headers (at most 5% of full frames, more of small messages), the start and end of the job, and the plain collectives
around the exchange, so they must show at least the payload and metadata, and not much more.
"""

import json
import sys
from pathlib import Path

HEADERS = 0.07  # of the bytes of MPI messages: Ethernet, IP, TCP, acknowledgements, MPI's own envelopes
A_MESSAGE = 300  # bytes a message: its frames' headers, an envelope, acknowledgements, a rendezvous
THE_JOB = 500_000  # bytes: start, end, prompts and statistics


def sent_by_run(run: dict) -> tuple[int, int]:
    """-> bytes to other nodes, all kinds; messages (to any device)."""
    total = messages = 0
    for layer in run["layers"]:
        total += sum(sum(layer[key]) for key in layer if key.endswith("cross_node_bytes"))
        messages += sum(layer["messages"])
    return total, messages


def sent_by_hosts(link: dict) -> int:
    return sum(host["after"]["tx_bytes"] - host["before"]["tx_bytes"] for host in link["hosts"])


def main() -> int:
    code = 0
    for name in sys.argv[1:]:
        ours, messages = sent_by_run(json.loads(Path(f"{name}.json").read_text(encoding="utf-8")))
        theirs = sent_by_hosts(json.loads(Path(f"{name}.link.json").read_text(encoding="utf-8")))
        most = ours * (1 + HEADERS) + messages * A_MESSAGE + THE_JOB
        good = ours <= theirs <= most
        code |= not good
        print(f"{Path(name).name}: sent between nodes {ours / 1e6:.2f} MB by our counters, {theirs / 1e6:.2f} MB by the"
              f" interfaces': {theirs / max(ours, 1) - 1:+.1%}{'' if good else f', expected at most {most / 1e6:.2f} MB'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
