"""One repository's conversation with its registry: authentication and redirects, a step at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urljoin, urlsplit

from scanguard import http
from scanguard.errors import RegistryAuthError, RegistryError, RegistryRefusedError, RegistryUnavailableError
from scanguard.oci.answers import error_for, registry_errors
from scanguard.oci.auth import Clock, Place, RegistryAuthenticator
from scanguard.oci.challenges import parse_challenges
from scanguard.oci.hosts import Endpoint, origin_of

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class RegistrySession:
    """Sends requests about one repository."""

    def __init__(
        self,
        client: http.AsyncClient,
        endpoint: Endpoint,
        repository: str,
        authenticator: RegistryAuthenticator,
        clock: Clock,
        *,
        timeout_s: float,
    ) -> None:
        self.endpoint = endpoint
        self.repository = repository
        self._client = client
        self._authenticator = authenticator
        self._clock = clock
        self._timeout_s = timeout_s

    @asynccontextmanager
    async def open(
        self, method: str, path: str, headers: Mapping[str, str], accept: frozenset[int] = frozenset({200})
    ) -> AsyncIterator[http.Response]:
        """Send a request below ``/v2/REPOSITORY/`` and lend the answer, its body not yet read.

        Follows at most five redirects, each checked; answers one challenge per origin; all of that, to the
        answer's headers, within ``timeout_s``. A status outside
        ``accept`` raises its RegistryError, as does everything that goes wrong while the body is read inside.
        """
        what = f"{self.endpoint.registry}/{self.repository} ({path})"
        with registry_errors(what, self.endpoint.registry):
            async with http.deadline(self._timeout_s, lambda: self._late(what)):
                response = await self._follow(method, f"{self.endpoint.base}/v2/{self.repository}/{path}", headers)
            try:
                if response.status_code not in accept:
                    raise await self.error(response, what)
                yield response
            finally:
                await response.aclose()

    async def error(self, response: http.Response, what: str) -> RegistryError:
        """The error for an answer; what was sent as ``Authorization`` is hidden in it."""
        sent = response.request.headers.get("Authorization", "").rpartition(" ")[2]
        origin = origin_of(str(response.request.url))
        if origin != origin_of(self.endpoint.base):
            what = f"{what}, redirected to {origin},"
        return await error_for(response, what, self.endpoint.registry, self._clock.now(), (sent,))

    async def _follow(self, method: str, url: str, headers: Mapping[str, str]) -> http.Response:
        redirects = 0
        answered: set[str] = set()
        while True:
            place = Place(self.endpoint, origin_of(url), self.repository)
            response = await self._send(method, url, headers, place)
            try:
                if response.status_code == 401 and place.origin not in answered:
                    answered.add(place.origin)
                    await self._authenticate(place, response)
                elif response.status_code in _REDIRECTS:
                    redirects += 1
                    url = self._next_hop(url, response.headers.get("Location", ""), redirects)
                else:
                    return response
            except BaseException:
                await response.aclose()
                raise
            await response.aclose()

    async def _send(self, method: str, url: str, headers: Mapping[str, str], place: Place) -> http.Response:
        """Send with the header known for exactly this origin, so that no other host ever sees it."""
        authorization = self._authenticator.known(place)
        own = {"Authorization": authorization} if authorization else {}
        request = self._client.build_request(method, url, headers={"Accept-Encoding": "identity", **headers, **own})
        if origin_of(str(request.url)) != place.origin:
            # two readers of URLs disagree about the host, and only one of them was asked whether it is ours
            raise self._refused("it redirects to an ambiguous URL")
        return await self._client.send(request, stream=True)

    async def _authenticate(self, place: Place, response: http.Response) -> None:
        challenges = parse_challenges(", ".join(response.headers.get_list("WWW-Authenticate")))
        if not challenges:
            raise RegistryAuthError(
                f"{self.endpoint.registry} refuses to show {self.repository} (401) and does not say how to log in",
                target=self.endpoint.registry,
            )
        await self._authenticator.answer(place, challenges, response.request.headers.get("Authorization"))

    def _next_hop(self, url: str, location: str, redirects: int) -> str:
        if redirects > MAX_REDIRECTS:
            raise self._refused(f"it redirects more than {MAX_REDIRECTS} times")
        try:
            target = urljoin(url, location)
            origin = origin_of(target)
        except ValueError as exc:
            raise self._refused("it redirects to something that is no http or https URL") from exc
        if not location:
            raise self._refused("it redirects to nowhere")
        if origin.startswith("http:") and not self.endpoint.is_insecure:
            raise self._refused(f"it redirects to plain http ({origin})")
        if "@" in urlsplit(target).netloc:
            raise self._refused(f"it redirects to a URL that carries a user ({origin})")
        return target

    def _late(self, what: str) -> RegistryUnavailableError:
        return RegistryUnavailableError(
            f"{what} was not answered within {self._timeout_s:g} s", target=self.endpoint.registry
        )

    def _refused(self, why: str) -> RegistryRefusedError:
        return RegistryRefusedError(
            f"{self.endpoint.registry}/{self.repository} is not read: {why}", target=self.endpoint.registry
        )
