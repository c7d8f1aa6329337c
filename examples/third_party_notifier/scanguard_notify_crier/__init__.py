"""Example of a notifier plugin: Crier, an imaginary chat that takes messages at a webhook."""
