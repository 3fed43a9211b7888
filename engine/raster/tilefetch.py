"""Fetching map tiles as a guest should: it says who asks, over few connections, at a limited rate, and never twice.

urllib3 does the talking: it keeps connections open, retries with growing pauses, heeds ``Retry-After``, and follows
redirects to http and https alone. GDAL's own tile driver was not taken: it tells a missing tile from a failed one only
in a log text, has no rate limit, and reads whatever format a server sends.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import getproxies

from engine.errors import DamagedFileError, InputError, MissingFileError, ParameterError
from engine.raster.tilecache import TileCache
from engine.raster.xyz import TileTemplate
from engine.version import VERSION

USER_AGENT = f"SameScene/{VERSION} (+https://github.com/samescene/samescene)"
MAX_BYTES = 16 * 1024 * 1024
"""A larger answer is no tile."""
_MISSING = frozenset({204, 404, 410})
_REFUSED = frozenset({401, 402, 403, 451})
_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_GIVE_UP = 12


@dataclass(frozen=True)
class Manners:
    """``connections`` at once (1 to 8), ``per_second`` requests at most, ``retries`` of one tile with pauses that
    start at ``backoff_s`` and double, seconds to ``connect_s`` and between bytes (``read_s``)."""

    connections: int = 2
    per_second: float = 10.0
    retries: int = 4
    backoff_s: float = 0.5
    connect_s: float = 10.0
    read_s: float = 30.0

    def __post_init__(self) -> None:
        if not (1 <= self.connections <= 8 and 0 < self.per_second <= 1000 and 0 <= self.retries <= 10):
            raise ParameterError(
                f"{self.connections} connections, {self.per_second:g} tiles a second and {self.retries} retries are "
                "out of range; expected 1 to 8, up to 1000, and 0 to 10.",
                remedy="Leave them as they are: 2 connections, 10 a second, 4 retries.",
            )


@dataclass
class TileCounts:
    """What became of the tiles that were asked for: from the network, the cache or the folder; ``missing``: the server
    has none there; ``failed``: given up after retries; ``damaged``: no readable picture."""

    fetched: int = 0
    cached: int = 0
    missing: int = 0
    failed: int = 0
    damaged: int = 0
    bytes: int = 0

    def plain(self) -> dict[str, int]:
        """As it stands in JSON."""
        return dict(vars(self))


class TileFetcher:
    """Bytes of tiles of ``template``, by way of ``cache`` (None: none is kept); safe for several threads.

    Raises InputError when the server refuses (401, 403: not allowed), MissingFileError when nothing answers or twelve
    tiles in a row fail: then the imagery would be full of holes.
    """

    def __init__(
        self, template: TileTemplate, *, cache: TileCache | None = None, manners: Manners | None = None
    ) -> None:
        self.template, self.counts = template, TileCounts()
        self._cache, self._manners = cache, manners or Manners()
        self._lock = threading.Lock()
        self._next = 0.0
        self._in_a_row = 0
        self._pool: Any = None if template.local else _pool(template, self._manners)

    def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.clear()

    def get(self, z: int, x: int, y: int) -> bytes | None:
        """The tile's bytes; None where there is none or it failed (see :attr:`counts`)."""
        if self.template.local:
            return self._from_folder(z, x, y)
        key = self.template.key
        known = self._cache.get(key, z, x, y) if self._cache is not None else None
        if known is not None:
            self._count("cached" if known else "missing")
            return known or None
        status, content, why = self._fetch(self.template.tile(z, x, y))
        if status == 200 and content:
            self._count("fetched", len(content))
        elif status in _MISSING or (status == 200 and not content):
            content = b""
            self._count("missing")
        else:
            self._failed(status, why, f"{z}/{x}/{y}")
            return None
        if self._cache is not None:
            self._cache.put(key, z, x, y, content)
        return content or None

    def damaged(self) -> None:
        """Count a tile whose bytes were no picture."""
        self._count("damaged")

    def _from_folder(self, z: int, x: int, y: int) -> bytes | None:
        path = Path(self.template.tile(z, x, y))
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise DamagedFileError(
                f"{path}: the tile cannot be read: {error.strerror}.", remedy="Check the folder."
            ) from error
        self._count("cached" if content else "missing")
        return content or None

    def _fetch(self, address: str) -> tuple[int, bytes, str]:
        """Status (0: no answer), content and what went wrong."""
        from urllib3.exceptions import HTTPError

        self._wait()
        try:
            answer = self._pool.request("GET", address, preload_content=False)
            try:
                content = bytearray()
                for piece in answer.stream(65_536):
                    content += piece
                    if len(content) > MAX_BYTES:
                        return 0, b"", f"the answer is larger than {MAX_BYTES >> 20} MB"
                return int(answer.status), bytes(content), f"HTTP status {answer.status}"
            finally:
                answer.release_conn()
        except (HTTPError, OSError) as error:
            return 0, b"", _why(error)

    def _wait(self) -> None:
        """Until the rate allows a request."""
        with self._lock:
            now = time.monotonic()
            turn = max(self._next, now)
            self._next = turn + 1 / self._manners.per_second
        if turn > now:
            time.sleep(turn - now)

    def _count(self, what: str, size: int = 0) -> None:
        with self._lock:
            setattr(self.counts, what, getattr(self.counts, what) + 1)
            self.counts.bytes += size
            if what in ("fetched", "missing"):
                self._in_a_row = 0

    def _failed(self, status: int, why: str, tile: str) -> None:
        name = self.template.name()
        if status in _REFUSED:
            raise InputError(
                f"{name}: the server refuses tile {tile} ({why}).",
                remedy="Check the key in the address, and whether the provider's terms allow this use.",
            )
        with self._lock:
            self.counts.failed += 1
            self._in_a_row += 1
            alone = self.counts.fetched + self.counts.cached + self.counts.missing == 0
            failures = self._in_a_row
        if failures >= (3 if alone else _GIVE_UP):
            raise MissingFileError(
                f"{name}: the tile server fails ({failures} tiles in a row; the last, {tile}: {why}).",
                remedy="Check the address and the network, and try again later: what was fetched is kept.",
            )


def _pool(template: TileTemplate, manners: Manners) -> Any:
    import certifi
    import urllib3

    logging.getLogger("urllib3").setLevel(logging.ERROR)
    retry = urllib3.Retry(
        total=manners.retries,
        redirect=3,
        backoff_factor=manners.backoff_s,
        backoff_max=60,
        status_forcelist=_RETRIED,
        respect_retry_after_header=True,
        raise_on_status=False,
    )
    trusted = ssl.create_default_context()
    trusted.load_verify_locations(certifi.where())  # beside the system's own, which some Pythons lack
    keywords: dict[str, Any] = {
        "num_pools": 4,
        "maxsize": manners.connections,
        "block": True,
        "headers": {"User-Agent": USER_AGENT, "Accept": "image/*"},
        "retries": retry,
        "timeout": urllib3.Timeout(connect=manners.connect_s, read=manners.read_s),
        "ssl_context": trusted,
    }
    proxies = getproxies()
    scheme = template.address.partition("://")[0].lower()
    proxy = proxies.get(scheme) or proxies.get("all")
    if proxy and not _bypassed(template.host):
        return urllib3.ProxyManager(proxy, **keywords)
    return urllib3.PoolManager(**keywords)


def _bypassed(host: str) -> bool:
    from urllib.request import proxy_bypass

    return host in ("localhost", "127.0.0.1", "::1") or bool(proxy_bypass(host))


def _why(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split())[:200] or type(error).__name__
