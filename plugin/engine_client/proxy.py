"""QGIS's network proxy as the environment variables that pip and GDAL understand."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from qgis.core import QgsNetworkAccessManager, QgsSettings
from qgis.PyQt.QtNetwork import QNetworkProxy


def proxy_variables() -> dict[str, str]:
    """HTTP_PROXY, HTTPS_PROXY, NO_PROXY (both cases) as set in QGIS's options; empty when it sets no proxy.

    Call it in the main thread: QGIS keeps a network manager for each thread.
    """
    if not QgsSettings().value("proxy/proxyEnabled", False, type=bool):
        return {}
    manager = QgsNetworkAccessManager.instance()
    return variables_of(manager.fallbackProxy(), [*manager.excludeList(), *manager.noProxyList()])


def variables_of(proxy: QNetworkProxy, excluded: list[str]) -> dict[str, str]:
    """The variables for one proxy and the addresses (URL beginnings or hosts) that go past it."""
    kinds = {
        QNetworkProxy.ProxyType.HttpProxy: "http",
        QNetworkProxy.ProxyType.HttpCachingProxy: "http",
        QNetworkProxy.ProxyType.Socks5Proxy: "socks5h",
    }
    scheme = kinds.get(proxy.type())
    if scheme is None or not proxy.hostName():
        return {}
    user = quote(proxy.user(), safe="")
    if user and proxy.password():
        user += ":" + quote(proxy.password(), safe="")
    port = f":{proxy.port()}" if proxy.port() else ""
    address = f"{scheme}://{user + '@' if user else ''}{proxy.hostName()}{port}"
    variables = {"HTTP_PROXY": address, "HTTPS_PROXY": address}
    hosts = [urlsplit(entry).hostname or entry for entry in excluded if entry]
    if hosts:
        variables["NO_PROXY"] = ",".join(dict.fromkeys(hosts))
    return {**variables, **{name.lower(): value for name, value in variables.items()}}
