"""The crash soak on Azure's parts: workers and a function app on storage that is cut, silenced, doubled and restarted."""
