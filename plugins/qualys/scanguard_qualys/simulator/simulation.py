"""The account's state: time, tokens, limits, scans; everything but the wire."""

from __future__ import annotations

import random
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from scanguard_qualys.simulator.images import Content, Images
from scanguard_qualys.simulator.recorded import Asked, Recorded
from scanguard_qualys.simulator.scenario import Fault, Limit, Scenario


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan that was asked for, and what was asked."""

    id: str
    image: str
    content: Content
    started_at: float
    asked: dict[str, object]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A limit that is used up, and simulated seconds until it has room again."""

    limit: Limit
    wait_s: float


class Simulation:
    """One simulated account."""

    def __init__(self, scenario: Scenario, clock: Callable[[], float] = time.monotonic) -> None:
        self.scenario = scenario
        self.images = Images(scenario)
        self.recorded = Recorded()
        self.scans: dict[str, Scan] = {}
        self.jobs: dict[str, list[dict[str, object]]] = {}
        self._clock = clock
        self._begun = clock()
        self._tokens: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        self._taken: list[deque[float]] = [deque() for _ in scenario.limits]
        self._fault_count: Counter[int] = Counter()
        self._chance = random.Random(scenario.seed)  # noqa: S311  # faults that can be repeated

    def now(self) -> float:
        """Simulated seconds since the start."""
        return (self._clock() - self._begun) * self.scenario.speed

    def real(self, simulated_s: float) -> float:
        """Real seconds of a simulated time."""
        return simulated_s / self.scenario.speed

    @property
    def pending(self) -> int:
        """Scans under way: asked for, and not there yet."""
        scans = sum(self.status(scan) in ("PENDING", "RUNNING") for scan in self.scans.values())
        now = self.now()
        waiting = (self.images.content(key) for key in self._seen)
        ingesting = sum(
            content is not None and now - self._seen[content.key] < content.latency_s for content in waiting
        )
        return scans + ingesting

    # --- who asks ---------------------------------------------------------------------------------------

    def log_in(self, username: str, password: str) -> str | None:
        """A token, or None for wrong credentials."""
        if (username, password) != (self.scenario.username, self.scenario.password):
            self.recorded.refused["unauthorized"] += 1
            return None
        token = f"eyJhbGciOiJub25lIn0.{secrets.token_urlsafe(24)}.simulated"
        self._tokens[token] = self.now() + self.scenario.token_life_s
        self.recorded.logins += 1
        return token

    def is_valid(self, token: str) -> bool:
        """Whether a token was given out and has not expired."""
        return self._tokens.get(token, -1.0) > self.now()

    def expire_tokens(self) -> None:
        """Every token given out so far is refused from now on."""
        self._tokens.clear()

    # --- how much, how well -----------------------------------------------------------------------------

    def refusal(self, path: str) -> Refusal | None:
        """Take a request from every limit that holds for a path, or say which one has no room."""
        now = self.now()
        holding = [
            (limit, taken)
            for limit, taken in zip(self.scenario.limits, self._taken, strict=True)
            if fnmatchcase(path, limit.path)
        ]
        for limit, taken in holding:
            while taken and taken[0] <= now - limit.rate.window_s:
                taken.popleft()
            if len(taken) >= limit.rate.requests:
                self.recorded.refused["throttled"] += 1
                return Refusal(limit, taken[0] + limit.rate.window_s - now)
        for _, taken in holding:
            taken.append(now)
        return None

    def left(self, path: str) -> tuple[Limit, int] | None:
        """The tightest limit of a path and what is left of it."""
        rooms = [
            (limit, limit.rate.requests - len(taken))
            for limit, taken in zip(self.scenario.limits, self._taken, strict=True)
            if fnmatchcase(path, limit.path)
        ]
        return min(rooms, key=lambda room: room[1], default=None)

    def fault(self, method: str, path: str) -> Fault | None:
        """The fault that strikes this request."""
        for number, fault in enumerate(self.scenario.faults):
            if not (fnmatchcase(path, fault.path) and fnmatchcase(method, fault.method)):
                continue
            self._fault_count[number] += 1
            count = self._fault_count[number] - fault.after
            if count <= 0 or (fault.times is not None and count > fault.times):
                continue
            if fault.probability >= 1 or self._chance.random() < fault.probability:
                return fault
        return None

    def note(self, method: str, path: str, status: int) -> None:
        """Remember a request."""
        self.recorded.requests.append(Asked(self.now(), method, path, status))

    # --- scans ------------------------------------------------------------------------------------------

    def submit(self, image: str, asked: dict[str, object]) -> Scan | None:
        """Start a scan; None when the image is not known."""
        content = self.images.content(image)
        if content is None:
            return None
        scan = Scan(f"scan-{len(self.scans) + 1}", image, content, self.now(), asked)
        self.scans[scan.id] = scan
        self.recorded.submissions[image] += 1
        return scan

    def status(self, scan: Scan) -> str:
        """``PENDING``, ``RUNNING``, ``COMPLETED`` or ``FAILED``."""
        passed = self.now() - scan.started_at
        if passed < scan.content.latency_s / 10:
            return "PENDING"
        if passed < scan.content.latency_s or scan.content.outcome == "never":
            return "RUNNING"
        return "FAILED" if scan.content.outcome == "failed" else "COMPLETED"

    def ingested(self, image: str) -> Content | None:
        """An image whose result is there: so long after it was first asked for, as when a sensor finds it."""
        content = self.images.content(image)
        if content is None:
            return None
        since = self._seen.setdefault(content.key, self.now())
        return content if self.now() - since >= content.latency_s and content.outcome != "never" else None

    def find(self, image: str) -> None:
        """A job was started that will find the image; its time starts, once."""
        content = self.images.content(image)
        if content is not None:
            self._seen.setdefault(content.key, self.now())
