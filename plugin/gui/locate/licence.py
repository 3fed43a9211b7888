"""Whose terms apply to a reference, and whom they ask to name, as far as layer or address tell."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from qgis.core import QgsDataSourceUri, QgsMapLayer
from qgis.PyQt.QtCore import QCoreApplication

REMOTE = ("wms", "wcs", "arcgismapserver")


def attribution_of(layer: QgsMapLayer | None) -> str:
    """Whom the metadata of a layer ask to name; empty where they say nothing."""
    if layer is None:
        return ""
    named = [str(text).strip() for text in layer.metadata().rights()]
    told = getattr(layer, "attribution", None) or layer.serverProperties().attribution  # it moved in QGIS 3.38
    named.append((told() or "").strip())
    return "; ".join(dict.fromkeys(text for text in named if text))


def licence_note(layer: QgsMapLayer | None, address: str) -> str:
    """A sentence on the terms that apply to imagery from a server; of files what their metadata say, if anything."""
    host = host_of(address) if layer is None else host_of(layer.source()) if layer.providerType() in REMOTE else ""
    lines = []
    if host:
        lines.append(
            _tr("Served by {}. The provider's terms apply to the imagery and to what is made from it: see that they "
                "allow what you do. Tiles are fetched slowly and kept on this machine.").format(host)
        )  # fmt: skip
    if layer is not None:
        licences = "; ".join(text for text in layer.metadata().licenses() if text)
        if licences:
            lines.append(_tr("Licence: {}.").format(licences))
    return " ".join(lines)


def host_of(source: str) -> str:
    """Who serves an address or a layer's source; empty for files of this machine."""
    url = source
    if "url=" in source:
        uri = QgsDataSourceUri()
        uri.setEncodedUri(source)
        url = uri.param("url") or unquote(source.partition("url=")[2].split("&")[0])
    parts = urlsplit(unquote(url).strip())
    return parts.hostname or "" if parts.scheme in ("http", "https") else ""


def _tr(text: str) -> str:
    return QCoreApplication.translate("SameScene", text)
