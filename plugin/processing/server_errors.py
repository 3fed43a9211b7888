"""What a map server answered while QGIS drew: where a request fails it draws nothing, and only its log says so."""

from __future__ import annotations

from types import TracebackType
from urllib.parse import urlsplit

from qgis.core import QgsNetworkAccessManager
from qgis.PyQt.QtNetwork import QNetworkAccessManager, QNetworkReply, QNetworkRequest

_MISSING = (204, 404)
_REFUSED = (401, 403, 407)


class ServerErrors:
    """While it is entered: ``errors`` are the failed requests of this thread to ``host``, one line each; ``refused``:
    the server wants a login, or does not serve this user.

    ``tiled``: a tile that is missing (404) is no failure. Where nothing fails the list stays empty, and of files too.
    """

    def __init__(self, host: str, *, tiled: bool) -> None:
        self.errors: list[str] = []
        self.refused = False
        self._host, self._tiled = host, tiled
        manager = QgsNetworkAccessManager.instance()  # one a thread
        # QGIS's own signal of that name hides Qt's, which alone is of this thread.
        self._finished = QNetworkAccessManager.finished.__get__(manager, type(manager))

    def __enter__(self) -> ServerErrors:
        self._finished.connect(self._answered)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finished.disconnect(self._answered)

    def _answered(self, reply: QNetworkReply) -> None:
        if reply.url().host() != self._host:
            return
        line = failure(reply, tiled=self._tiled)
        status = reply.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
        self.refused = self.refused or status in _REFUSED
        if line:
            self.errors.append(line)


def failure(reply: QNetworkReply, *, tiled: bool) -> str:
    """Why a request for a picture failed; empty where it did not. Addresses are left out: they may hold keys."""
    status = reply.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
    if reply.error() == QNetworkReply.NetworkError.OperationCanceledError:
        return ""
    if status is not None and int(status) >= 400:
        reason = reply.attribute(QNetworkRequest.Attribute.HttpReasonPhraseAttribute) or ""
        if isinstance(reason, (bytes, bytearray)):
            reason = bytes(reason).decode("ascii", errors="replace")
        return "" if tiled and int(status) in _MISSING else f"it answers {int(status)} {reason}".strip()
    if reply.error() != QNetworkReply.NetworkError.NoError:
        text = " ".join(reply.errorString().split())
        return "it does not answer" if urlsplit(reply.url().toString()).hostname and "://" in text else text
    kind = str(reply.header(QNetworkRequest.KnownHeaders.ContentTypeHeader) or "")
    if status is not None and int(status) == 200 and "xml" in kind.lower():
        return f"it answers with a message instead of a picture ({kind})"
    return ""
