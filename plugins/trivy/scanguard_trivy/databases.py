"""Keeps the databases of a cache current, before a scan and apart from it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from scanguard.errors import ScanError, ScannerUnavailableError
from scanguard.hooks import PluginContext
from scanguard.model.image import ResolvedImage
from scanguard.model.reference import ImageReference
from scanguard_trivy.command import Folders, Login, download_arguments, login_for
from scanguard_trivy.config import TrivyConfig
from scanguard_trivy.failures import refuse
from scanguard_trivy.program import Program
from scanguard_trivy.versions import DatabaseState, VersionInfo

_NO_DIGEST: Final = "sha256:" + "0" * 64


class Databases:
    """The vulnerability database and the Java database of whichever cache a run has."""

    def __init__(self, config: TrivyConfig, context: PluginContext, program: Program) -> None:
        self._config = config
        self._context = context
        self._program = program

    @property
    def may_download(self) -> bool:
        """Whether anything may be downloaded."""
        return self._config.update_databases and not self._context.offline

    async def bring_current(self, told: VersionInfo, folders: Folders, remaining_s: Callable[[], float]) -> VersionInfo:
        """Download what is missing or due, and tell what the cache holds then.

        Args:
            told: What the program says before.
            folders: Of this run.
            remaining_s: Seconds until the scan's deadline.

        Raises:
            ScanError: There is no vulnerability database, and none can be had. One that is due and cannot be renewed
                is used as it is: coverage tells its age.
        """
        if not self._config.matches:
            return told
        downloaded = False
        if self._config.server is None and self._is_due(told.vulnerability_db):
            downloaded = await self._renew(told.vulnerability_db, folders, remaining_s, java=False)
        if told.java_db is not None and self._is_due(told.java_db):
            await self._renew(told.java_db, folders, remaining_s, java=True)
        if downloaded:
            told = await self._program.version(folders)
        if self._config.server is None and told.vulnerability_db is None:
            raise ScannerUnavailableError(
                "there is no vulnerability database, and none may be downloaded; fill the cache with "
                f"`trivy image --download-db-only --cache-dir {folders.cache}`, or allow update_databases",
                plugin="trivy",
                target=str(folders.cache),
            )
        return told

    async def fetch_java(self, folders: Folders, remaining_s: Callable[[], float]) -> None:
        """Download the Java database, which a scan turned out to need; ScanError when that cannot be done."""
        if not self.may_download:
            raise ScannerUnavailableError(
                "the image has Java archives, and there is no Java database to look them up in; fill the cache with "
                f"`trivy image --download-java-db-only --cache-dir {folders.cache}`, or allow update_databases",
                plugin="trivy",
                target=str(folders.cache),
            )
        await self._download(folders, remaining_s, java=True)

    def _is_due(self, state: DatabaseState | None) -> bool:
        if not self.may_download:
            return False
        return state is None or state.next_update is None or state.next_update <= self._context.clock.now()

    async def _renew(
        self, held: DatabaseState | None, folders: Folders, remaining_s: Callable[[], float], *, java: bool
    ) -> bool:
        try:
            await self._download(folders, remaining_s, java=java)
        except ScanError as exc:
            if held is None:
                raise
            self._context.log.warning("the database could not be renewed, and is used as it is: %s", exc)
            return False
        return True

    async def _download(self, folders: Folders, remaining_s: Callable[[], float], *, java: bool) -> None:
        """Try each repository with its own credential; what the last one failed with is what is told."""
        config = self._config
        *others, last = config.java_database_repositories if java else config.database_repositories
        for repository in others:
            try:
                return await self._download_from(repository, folders, remaining_s(), java=java)
            except ScanError as exc:
                self._context.log.warning("a database could not be downloaded from %s: %s", repository, exc)
        return await self._download_from(last, folders, remaining_s(), java=java)

    async def _download_from(self, repository: str, folders: Folders, remaining_s: float, *, java: bool) -> None:
        limit_s = min(self._config.update_timeout_s, remaining_s)
        login = await self._login(ImageReference.parse(repository))
        arguments = download_arguments(self._config, repository, login, java=java, timeout_s=limit_s)
        finished = await self._program.run(arguments, folders, timeout_s=limit_s, env=login.env, stdin=login.stdin)
        refuse(finished, f"download of the {'Java' if java else 'vulnerability'} database", repository)

    async def _login(self, repository: ImageReference) -> Login:
        """Who we are to a mirror: credentials are known by registry, so the digest of the image asked for is any."""
        anything = ResolvedImage(
            name=str(repository),
            source=f"{repository.name}@{_NO_DIGEST}",
            reference=repository,
            digest=_NO_DIGEST,
            resolved_at=self._context.clock.now(),
        )
        return login_for(repository.registry, await self._context.images.credential(anything))


def database_date(state: DatabaseState | None) -> datetime | None:
    """When a database was made; None where there is none, or nobody says."""
    return state.updated_at if state is not None else None
