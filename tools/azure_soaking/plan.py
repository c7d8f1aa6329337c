"""What a soak on Azure's parts does besides killing workers."""

from __future__ import annotations

from dataclasses import dataclass

from soaking.plan import Plan


@dataclass(frozen=True)
class AzurePlan(Plan):
    """The numbers; see :class:`soaking.plan.Plan` for those of every soak.

    Attributes:
        functions: Worker processes of the function app; half of the events go to it, and it is killed as others are.
        restarts: How often the storage is stopped and started again.
        restart_every_s: Average time between two restarts.
        disturb_every_s: Average time between two faults of the network to the storage: every connection to one
            service is cut, or the next answers of one service are swallowed.
        arm_fault_rate: Share of Resource Manager's answers that are 429 or 503.
        doubled: Whether every message is put into its queue twice.
    """

    deployments: int = 60
    digests: int = 12
    shared: int = 12
    workers: int = 2
    kills: int = 4
    kill_every_s: float = 3.0
    batches: int = 3
    functions: int = 1
    restarts: int = 2
    restart_every_s: float = 8.0
    disturb_every_s: float = 0.5
    arm_fault_rate: float = 0.2
    doubled: bool = True

    def __post_init__(self) -> None:
        """Refuse numbers that make no soak."""
        super().__post_init__()
        if self.functions not in (0, 1) or self.restarts < 0:
            raise ValueError("there is one function app or none, and restarts are not negative")
