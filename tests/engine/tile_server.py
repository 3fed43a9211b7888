"""A tile server on loopback that can be told to fail, and remembers who asked for what."""

from __future__ import annotations

import threading
import time
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from rasterio.io import MemoryFile


def png(values, driver="PNG"):
    """Bytes of a picture (bands, rows, columns) uint8."""
    with MemoryFile() as memory, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with memory.open(
            driver=driver, height=values.shape[1], width=values.shape[2], count=len(values), dtype="uint8"
        ) as target:
            target.write(values)
        return memory.read()


class TileServer:
    """``picture(z, x, y)`` gives bytes or None (404). ``faults``: path → list of statuses to answer first."""

    def __init__(self, picture):
        self.picture, self.faults, self.asked, self.agents = picture, {}, [], set()
        self.down = None
        self.headers = {}
        self.delay = 0.0
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                with outer.lock:
                    outer.at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer.at_once)
                    outer.asked.append((time.monotonic(), self.path))
                    outer.agents.add(self.headers["User-Agent"])
                try:
                    time.sleep(outer.delay)
                    status, content = outer.answer(self.path)
                    self.send_response(status)
                    for name, value in outer.headers.items() if status != 200 else ():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    pass
                finally:
                    with outer.lock:
                        outer.at_once -= 1

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def answer(self, path):
        if self.down is not None:
            return self.down, b"no"
        waiting = self.faults.get(path.partition("?")[0])
        if waiting:
            return waiting.pop(0), b"later"
        z, x, y = (int(part.partition(".")[0].partition("?")[0]) for part in path.split("/")[-3:])
        content = self.picture(z, x, y)
        return (404, b"none") if content is None else (200, content)

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server.server_port}/t/{{z}}/{{x}}/{{y}}.png"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def plain_tile(z, x, y):
    """A tile whose colours tell which it is."""
    values = np.empty((3, 256, 256), np.uint8)
    values[0], values[1] = x % 251, y % 251
    values[2] = np.arange(256)[None]
    return png(values)
