#!/usr/bin/env python3
"""Fails unless, in a ladder.json, vanilla spent more than half its time in the exchange and grace was faster."""
import json
import sys
from pathlib import Path

rows = {row["name"]: row for row in json.loads(Path(sys.argv[1]).read_text())["rows"]}
vanilla, grace = rows["vanilla"], rows["grace"]
share = vanilla["all_to_all_s"] / vanilla["end_to_end_s"]
ratio = vanilla["end_to_end_s"] / grace["end_to_end_s"]
print(f"vanilla spent {share:.0%} of its time in the exchange; grace is {ratio:.2f} times as fast end to end")
if share <= 0.5 or ratio <= 1:
    sys.exit("expected more than 50% and more than 1")
