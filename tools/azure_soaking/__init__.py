"""The crash soak on Azure's parts: storage that is cut, silenced, doubled, restarted, below workers and functions."""
