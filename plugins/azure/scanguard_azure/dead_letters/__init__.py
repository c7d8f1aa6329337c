"""Events that Event Grid could not deliver: read from their container, and handed over after all."""
