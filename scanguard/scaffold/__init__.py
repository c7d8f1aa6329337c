"""What ``scanguard plugin new`` writes: a distribution with one plugin, its tests and its README."""
