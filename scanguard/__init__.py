"""Scan every container image that starts running; what plugin authors import."""
