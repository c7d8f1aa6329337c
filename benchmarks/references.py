"""Parsing image references against the bare regular expression: ``python benchmarks/references.py``."""

from __future__ import annotations

import json
import timeit
from pathlib import Path

from scanguard.model.reference import REFERENCE_PATTERN, ImageReference

DATA = Path(__file__).parent.parent / "tests/unit/data/image-references.json"
ROUNDS = 200


def main() -> None:
    cases = json.loads(DATA.read_bytes())["cases"]
    texts = cases["normalized_valid_names"] + cases["normalized_valid_remote_names"]
    match = REFERENCE_PATTERN.fullmatch
    bare = min(timeit.repeat(lambda: [match(text) for text in texts], number=ROUNDS, repeat=7))
    full = min(timeit.repeat(lambda: [ImageReference.parse(text) for text in texts], number=ROUNDS, repeat=7))
    per = 1e6 / ROUNDS / len(texts)
    print(f"{'bare regular expression':28} {bare * per:8.2f} µs")
    print(f"{'ImageReference.parse':28} {full * per:8.2f} µs  {full / bare:.2f} x")


if __name__ == "__main__":
    main()
