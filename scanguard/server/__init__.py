"""The HTTP service: events come in, verdicts are read. Needs the extra ``serve``; nothing here loads it at import."""
