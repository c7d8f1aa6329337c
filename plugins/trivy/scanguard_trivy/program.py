"""Runs the program: every run has its own folders, environment and end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scanguard.errors import ProcessError
from scanguard.hooks import PluginContext
from scanguard.process import Finished, run_process
from scanguard_trivy.binary import Binary
from scanguard_trivy.command import Folders, environment, version_arguments
from scanguard_trivy.config import TrivyConfig
from scanguard_trivy.failures import not_run, refuse
from scanguard_trivy.versions import VersionInfo, check_version, parse_version


class Program:
    """Trivy, as configured."""

    def __init__(self, config: TrivyConfig, context: PluginContext) -> None:
        self._config = config
        self._context = context
        self._binary = Binary(config.binary, context.config_dir, config.binary_sha256)

    async def version(self, folders: Folders) -> VersionInfo:
        """Which version it is, and which databases the cache holds.

        Raises ScanError: it cannot be run, does not say, or must not be used.
        """
        finished = await self.run(version_arguments(), folders, timeout_s=self._config.version_timeout_s)
        refuse(finished, "version", self._config.binary)
        told = parse_version(finished.stdout, self._config.binary)
        check_version(told, self._config, self._config.binary)
        return told

    async def run(
        self,
        arguments: Sequence[str],
        folders: Folders,
        *,
        timeout_s: float,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> Finished:
        """Run it to its end, whatever its status; ScanError when it does not start, end, or keep to its limits."""
        path = await self._binary.path()
        config = self._config
        ca_file = self._context.config_dir / config.ca_file if config.ca_file else None
        proxy = await self._context.secret(config.proxy) if config.proxy else None
        whole = environment(config, folders, ca_file=ca_file, proxy=proxy)
        try:
            return await run_process(
                [path, *arguments],
                stdin=stdin,
                env={**whole, **(env or {})},
                timeout_s=timeout_s,
                max_output_bytes=config.max_output_bytes,
                cwd=folders.work,
            )
        except ProcessError as exc:
            raise not_run(exc, config.binary, timeout_s) from exc
