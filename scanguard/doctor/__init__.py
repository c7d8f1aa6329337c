"""What `scanguard doctor` looks at: everything a working scanguard needs, each thing by itself.

A check says what it saw and, when that is trouble, what to do about it. None trusts another: the configuration may be
unreadable, the database damaged, the disk full, a plugin asleep; the rest is still looked at.
"""

from __future__ import annotations

from scanguard.doctor.check import AREAS, Check, Status
from scanguard.doctor.examination import Examination, examine
from scanguard.doctor.question import Question

__all__ = ["AREAS", "Check", "Examination", "Question", "Status", "examine"]
