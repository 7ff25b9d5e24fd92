"""Holds what a ladder counted as sent to other nodes against what the lab's interfaces counted: LADDER.json LINK.json.

The interfaces also count headers, plans and prompts handed out, statistics, and the plain collectives around the
exchange; so they must show at least all rows' payload in all rounds, and not much more than with the metadata.
"""

import json
import sys
from pathlib import Path

HEADERS = 0.07  # of the bytes of MPI messages
A_MESSAGE = 300  # bytes a message: its frames' headers, an envelope, acknowledgements, a rendezvous
A_RUN = 2_000_000  # bytes: plan, prompts, completions, statistics of a row's run


def main() -> None:
    ladder = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    link = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    rounds, rows = ladder["rounds"], ladder["rows"]
    # A warm-up sends the payload of the run behind it, and where it tries both ways of --overlap auto other messages.
    runs = rounds * (2 if ladder.get("warm", False) else 1)
    payload = runs * sum(row["cross_node_mb"] for row in rows) * 1e6
    metadata = runs * sum(row["metadata_mb"] for row in rows) * 1e6
    messages = runs * sum(row["messages"] for row in rows)
    theirs = sum(host["after"]["tx_bytes"] - host["before"]["tx_bytes"] for host in link["hosts"])
    most = (payload + metadata) * (1 + HEADERS) + messages * A_MESSAGE + rounds * len(rows) * A_RUN
    print(f"sent between nodes in all rows and rounds, warm-ups included: {payload / 1e6:.2f} MB of payload by our counters,"
          f" {theirs / 1e6:.2f} MB by the interfaces': {theirs / payload - 1:+.1%}")
    if not payload <= theirs <= most:
        sys.exit(f"expected {payload / 1e6:.2f} to {most / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
