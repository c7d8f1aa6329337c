"""Secrets in Key Vault."""
