"""Qualys scanner plugin for scanguard."""
