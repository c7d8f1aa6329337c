"""A real HTTPS server that keeps the rules of Qualys' interfaces, to develop and test against.

Needs the extra ``simulator``. Nothing outside this folder imports it.
"""

from scanguard_qualys.simulator.scenario import Fault, Limit, Scenario, SimulatedImage
from scanguard_qualys.simulator.server import QualysSimulator

__all__ = ["Fault", "Limit", "QualysSimulator", "Scenario", "SimulatedImage"]
