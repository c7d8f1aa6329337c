"""Scanner plugin for scanguard: reports that other tools have left."""
