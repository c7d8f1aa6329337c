"""OSV scanner plugin for scanguard."""
