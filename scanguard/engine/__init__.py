"""The engine: assess, scan, deliver, sweep over ports."""
