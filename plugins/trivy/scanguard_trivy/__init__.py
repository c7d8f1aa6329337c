"""Trivy scanner plugin for scanguard."""
