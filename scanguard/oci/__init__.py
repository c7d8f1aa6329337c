"""Images from registries, folders and archives: resolve, authenticate, read layers."""
