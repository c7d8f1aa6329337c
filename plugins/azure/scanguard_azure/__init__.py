"""Azure for scanguard."""
