"""Pictures over HTTP: bounded in bytes, time, redirects and connections, polite, and never into the own network."""

import asyncio
import email.utils
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import httpx

from recpipe.addresses import Origin, RefusedAddressError, checked_addresses, origin_of
from recpipe.images import MAGIC_BYTES, format_of
from recpipe.settings import ImageSettings

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({429, 503})
_FAILING = frozenset({408, 425, 500, 502, 504})


class FetchError(Exception):
    """There is no picture. ``reason`` is one word; ``for_good``: asking again is of no use."""

    def __init__(self, reason: str, for_good: bool = True) -> None:
        super().__init__(reason)
        self.reason, self.for_good = reason, for_good


class FetchedPicture(NamedTuple):
    format: str  # one of tables.PICTURE_FORMATS, by the first bytes
    bytes: int


@dataclass
class _Host:
    slots: asyncio.Semaphore
    next_start: float = 0.0  # on the loop's clock, as is the next
    busy_until: float = 0.0  # by its own word
    users: int = 0
    client: httpx.AsyncClient | None = field(default=None)


class Fetcher:
    """Fetches pictures side by side within one event loop; remembers when each host may be asked next."""

    def __init__(self, settings: ImageSettings) -> None:
        self.settings = settings
        self._slots = asyncio.Semaphore(settings.connections)
        self._hosts: dict[Origin, _Host] = {}
        self._ssl = httpx.create_ssl_context()

    async def fetch(self, url: str, target: Path) -> FetchedPicture:
        """Write the picture at ``url`` to ``target``, asking a busy or failing host again within bounds.

        Raises:
            FetchError: there is none; ``target`` may hold a part of it.
            OSError: ``target`` cannot be written.
        """
        for attempt in range(self.settings.retries + 1):
            try:
                return await self._follow(url, target)
            except FetchError as error:
                if error.for_good or attempt == self.settings.retries:
                    raise
                await asyncio.sleep(min(2.0**attempt, self.settings.longest_wait_seconds))
        raise AssertionError

    async def _follow(self, address: str, target: Path) -> FetchedPicture:
        try:
            url = httpx.URL(address)
            for _ in range(self.settings.redirects + 1):
                origin = origin_of(url, self.settings.allowed_hosts)
                async with self._turn(origin) as host:
                    found = await self._request(origin, host, url, target)
                if isinstance(found, FetchedPicture):
                    return found
                url = url.join(found)
        except RefusedAddressError as error:
            raise FetchError(error.reason) from None
        except (httpx.InvalidURL, UnicodeError):
            raise FetchError("bad_address") from None
        raise FetchError("too_many_redirects")

    @asynccontextmanager
    async def _turn(self, origin: Origin) -> AsyncIterator[_Host]:
        """Wait until the host may be asked. A client is kept while anyone waits for its host, for its connections.

        A client for each host, since connections are shared by address, and one address may serve many hosts whose
        certificates must not speak for each other.
        """
        host = self._hosts.setdefault(origin, _Host(asyncio.Semaphore(self.settings.connections_a_host)))
        host.users += 1
        try:
            async with host.slots:
                clock = asyncio.get_running_loop().time
                while (wait := max(host.next_start, host.busy_until) - clock()) > 0:
                    if host.busy_until - clock() > self.settings.longest_wait_seconds:
                        raise FetchError("busy", for_good=False)
                    await asyncio.sleep(wait)
                host.next_start = clock() + self.settings.delay_seconds
                host.client = host.client or self._client()
                async with self._slots:
                    yield host
        finally:
            host.users -= 1
            if host.client and not host.users:
                client, host.client = host.client, None
                await client.aclose()

    def _client(self) -> httpx.AsyncClient:
        # Neither proxies nor passwords from the environment: a proxy would look names up again, unchecked.
        name = f"recpipe ({self.settings.contact})" if self.settings.contact else "recpipe"
        headers = {"User-Agent": name, "Accept": "image/*", "Accept-Encoding": "identity"}
        timeout = httpx.Timeout(self.settings.picture_seconds)
        return httpx.AsyncClient(verify=self._ssl, trust_env=False, headers=headers, timeout=timeout)

    async def _request(self, origin: Origin, host: _Host, url: httpx.URL, target: Path) -> FetchedPicture | str:
        """The picture, or where the host says it is."""
        try:
            async with asyncio.timeout(self.settings.picture_seconds):
                addresses = await self._addresses(origin)
                response = await _send(host.client, origin, url, addresses)
                try:
                    if response.status_code in _REDIRECTS and "location" in response.headers:
                        return response.headers["location"]
                    self._require_found(response, host)
                    return await self._save(response, target)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException):
            raise FetchError("timed_out", for_good=False) from None
        except httpx.RemoteProtocolError:  # also of an answer that ends early, or leads to no URL
            raise FetchError("bad_answer", for_good=False) from None
        except httpx.HTTPError:
            raise FetchError("unreachable", for_good=False) from None

    async def _addresses(self, origin: Origin) -> list[str]:
        try:
            return await checked_addresses(origin, self.settings.allowed_hosts)
        except OSError:
            raise FetchError("unknown_host", for_good=False) from None

    def _require_found(self, response: httpx.Response, host: _Host) -> None:
        status = response.status_code
        if status in _BUSY:
            wait = _retry_after(response.headers.get("retry-after", ""))
            host.busy_until = max(host.busy_until, asyncio.get_running_loop().time() + wait)
            raise FetchError("busy", for_good=False)
        if status in _FAILING:
            raise FetchError("server_error", for_good=False)
        if status in (404, 410):
            raise FetchError("not_found")
        if status != 200:
            raise FetchError(f"http_{status}")

    async def _save(self, response: httpx.Response, target: Path) -> FetchedPicture:
        length = response.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self.settings.max_bytes:
            raise FetchError("too_large")
        start, size, format_ = b"", 0, None
        with target.open("wb") as file:
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > self.settings.max_bytes:
                    raise FetchError("too_large")
                file.write(chunk)
                if format_ is None:
                    start += chunk
                    format_ = format_of(start[:MAGIC_BYTES])
                    if format_ is None and size >= MAGIC_BYTES:
                        raise FetchError("not_a_picture")
        if format_ is None:
            raise FetchError("not_a_picture")
        return FetchedPicture(format_, size)


async def _send(client: httpx.AsyncClient, origin: Origin, url: httpx.URL, addresses: list[str]) -> httpx.Response:
    """Ask the checked ``addresses`` one after another, in the host's name."""
    headers, extensions = {"Host": url.netloc.decode("ascii")}, {"sni_hostname": origin.host}
    for address in addresses:
        request = client.build_request("GET", url.copy_with(host=address), headers=headers, extensions=extensions)
        try:
            return await client.send(request, stream=True)
        except httpx.ConnectError:
            if address == addresses[-1]:
                raise
    raise FetchError("unknown_host", for_good=False)


def _retry_after(value: str) -> float:
    """Seconds from now; 0 if the host names none."""
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
