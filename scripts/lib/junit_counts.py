"""Prints the numbers of passed, failed and skipped tests of a JUnit file: junit_counts.py FILE."""

import sys
import xml.etree.ElementTree as ElementTree


def main() -> None:
    try:
        root = ElementTree.parse(sys.argv[1]).getroot()
    except (OSError, ElementTree.ParseError) as error:
        sys.exit(f"no test results: {error}")
    cases = list(root.iter("testcase"))
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    print(len(cases) - failed - skipped, failed, skipped)


if __name__ == "__main__":
    main()
