"""The crash soak: real workers on one data folder, killed at random, and proof that every promise held."""
