"""Credentials of Azure container registries."""
