"""What came of a soak, for people to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from soaking.promises import Promise, repeats
from soaking.run import Soaked
from soaking.submissions import is_refusal, is_taken_on

_SHOWN = 5


def table(soaked: Soaked) -> str:
    """Numbers, then each promise."""
    return "\n".join([*_numbers(soaked), "", *(line for one in soaked.promises for line in _promise(one))])


def _numbers(soaked: Soaked) -> Iterator[str]:
    plan, evidence = soaked.plan, soaked.evidence
    outcomes = Counter(verdict.outcome.value for verdict in evidence.verdicts.values())
    again = sum(verdict.revision > 1 for verdict in evidence.verdicts.values())
    rows = {
        "deployments": f"{plan.deployments:,} on {plan.digests:,} digests, {plan.shared:,} of them on one",
        "workers, kills": f"{plan.workers}, {soaked.kills}",
        "accepted": f"{len(evidence.accepted):,}",
        "verdicts": f"{len(evidence.verdicts):,} ({_counts(outcomes)}), {again:,} in a later revision",
        "judged": f"in {soaked.judged_s:.1f} s, {len(evidence.verdicts) / max(soaked.judged_s, 0.001):.1f} a second",
        "idle": f"after {soaked.idle_s:.1f} s",
        "scanner calls": f"{len(evidence.calls):,}: {sum(map(is_taken_on, evidence.calls)):,} scans begun, "
        f"{sum(call.call == 'find' for call in evidence.calls):,} finds, "
        f"{sum(map(is_refusal, evidence.calls)):,} faults",
        "redelivered": "not counted" if soaked.redelivered is None else f"{soaked.redelivered:,} messages",
        "notices": f"{len(evidence.notices):,}, {repeats(evidence):,} of them again",
        "sink copies": f"{len(evidence.copies):,}",
        "left behind": f"{len(evidence.waiting):,} places to wait, of deployments that are judged",
        "peak RSS": f"{soaked.peak_rss_kib / 1024:.0f} MiB (largest worker)",
    }
    yield from (f"{name:<16} {value}" for name, value in rows.items())


def _promise(promise: Promise) -> Iterator[str]:
    state = f"BROKEN {len(promise.broken):,} times" if promise.broken else "kept"
    yield f"{promise.name:<28} {state}"
    yield from (f"    {sentence}" for sentence in promise.broken[:_SHOWN])


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counter.items()))
