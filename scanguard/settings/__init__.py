"""Configuration: read, located, validated, explained."""
