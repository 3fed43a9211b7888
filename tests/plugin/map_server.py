"""A WMS and an XYZ server on loopback that show a raster file; it can be told to fail or be slow."""

from __future__ import annotations

import math
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from osgeo import gdal

_HALF = math.pi * 6_378_137.0
_CAPABILITIES = """<?xml version="1.0"?>
<WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms" xmlns:xlink="http://www.w3.org/1999/xlink">
<Service><Name>WMS</Name><Title>Test</Title><OnlineResource xlink:href="{address}"/></Service>
<Capability><Request>
<GetCapabilities><Format>text/xml</Format><DCPType><HTTP><Get><OnlineResource xlink:href="{address}?"/></Get></HTTP>
</DCPType></GetCapabilities>
<GetMap><Format>image/png</Format><DCPType><HTTP><Get><OnlineResource xlink:href="{address}?"/></Get></HTTP></DCPType>
</GetMap></Request><Exception><Format>XML</Format></Exception>
<Layer><Title>root</Title><CRS>{crs}</CRS><CRS>EPSG:4326</CRS>
<Layer queryable="0"><Name>ortho</Name><Title>Orthophoto</Title><CRS>{crs}</CRS><CRS>EPSG:4326</CRS>
<EX_GeographicBoundingBox><westBoundLongitude>{west}</westBoundLongitude><eastBoundLongitude>{east}</eastBoundLongitude>
<southBoundLatitude>{south}</southBoundLatitude><northBoundLatitude>{north}</northBoundLatitude>
</EX_GeographicBoundingBox>
<BoundingBox CRS="EPSG:4326" minx="{south}" miny="{west}" maxx="{north}" maxy="{east}"/>
<BoundingBox CRS="{crs}" minx="493400" miny="5972400" maxx="506600" maxy="5994700"/>
<Attribution><Title>Test Survey</Title></Attribution></Layer></Layer></Capability></WMS_Capabilities>
"""


class MapServer:
    """``down``: a status that is answered instead of maps (200: with an exception in XML); ``delay``: seconds before a
    map; ``asked``: paths."""

    def __init__(self, raster: str) -> None:
        self.raster, self.down, self.delay, self.asked = raster, None, 0.0, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                outer.asked.append(self.path)
                try:
                    status, kind, content = outer.answer(self.path)
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def wms(self) -> str:
        """The source of a QGIS layer."""
        return f"crs=EPSG:32633&dpiMode=7&format=image/png&layers=ortho&styles=&url={self.address}/wms"

    @property
    def tiles(self) -> str:
        """The address of map tiles."""
        return f"{self.address}/t/{{z}}/{{x}}/{{y}}.png"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path: str):
        parts = urlsplit(path)
        query = {key.upper(): values[0] for key, values in parse_qs(parts.query).items()}
        if query.get("REQUEST") == "GetCapabilities":
            return 200, "text/xml", self._capabilities().encode()
        time.sleep(self.delay)
        if self.down == 200:
            text = "<ServiceExceptionReport><ServiceException>busy</ServiceException></ServiceExceptionReport>"
            return 200, "text/xml", text.encode()
        if self.down is not None:
            return self.down, "text/plain", b"no"
        if query.get("REQUEST") == "GetMap":
            box = [float(n) for n in query["BBOX"].split(",")]
            if query["CRS"] == "EPSG:4326":  # latitude first
                box = [box[1], box[0], box[3], box[2]]
            return 200, "image/png", self._map(query["CRS"], box, int(query["WIDTH"]), int(query["HEIGHT"]))
        z, x, y = (int(part.partition(".")[0]) for part in parts.path.split("/")[-3:])
        side = 2 * _HALF / (1 << z)
        west, north = -_HALF + x * side, _HALF - y * side
        return 200, "image/png", self._map("EPSG:3857", [west, north - side, west + side, north], 256, 256)

    def _map(self, crs: str, box: list[float], width: int, height: int) -> bytes:
        made = gdal.Warp(
            "", self.raster, format="MEM", dstSRS=crs, outputBounds=box, width=width, height=height,
            resampleAlg="bilinear", dstAlpha=True,
        )  # fmt: skip
        name = f"/vsimem/map-{threading.get_ident()}.png"
        gdal.Translate(name, made, format="PNG")
        file = gdal.VSIFOpenL(name, "rb")
        size = gdal.VSIStatL(name).size
        content = bytes(gdal.VSIFReadL(1, size, file))
        gdal.VSIFCloseL(file)
        gdal.Unlink(name)
        return content

    def _capabilities(self) -> str:
        return _CAPABILITIES.format(
            address=f"{self.address}/wms", crs="EPSG:32633", west=14.9, east=15.1, south=53.9, north=54.1
        )
