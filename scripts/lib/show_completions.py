"""Prints the first completions of a JSON lines file, each after the end of its prompt: show_completions.py FILE COUNT."""

import itertools
import json
import sys

TAIL = 160  # characters of the prompt


def main() -> None:
    path, count = sys.argv[1], int(sys.argv[2])
    with open(path, encoding="utf-8") as lines:
        for line in itertools.islice(lines, count):
            completion = json.loads(line)
            print(f"--- ...{completion['prompt'][-TAIL:]}\033[1m{completion['text']}\033[0m" if sys.stdout.isatty() else
                  f"--- ...{completion['prompt'][-TAIL:]}[=>]{completion['text']}")


if __name__ == "__main__":
    main()
