"""What scanguard says about its own work: logs with a correlation id, and metrics.

``correlation`` names the work in hand, ``secrets`` and ``redact`` keep credentials out, ``records``, ``formats`` and
``logs`` make log lines; ``metrics`` holds the instruments and ``export`` sends them.
"""
