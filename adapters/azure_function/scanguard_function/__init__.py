"""scanguard on Azure Functions: triggers, and nothing that the engine does."""
