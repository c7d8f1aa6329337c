"""One module for each format: ``recognises(document)`` and a pure ``read(document)``."""
