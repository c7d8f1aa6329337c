"""Finds, guards and loads plugins; the only caller of their hooks."""
