"""How far pip is, and what went wrong, read off its own lines."""

from __future__ import annotations

import re

_REQUIREMENT = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*==")
_DOWNLOAD = re.compile(r"^\s*(?:Downloading|Using cached) (\S+?)(?: \((.+)\))?$")
_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|NameResolution|Max retries|connection broken"
    r"|Connection refused|Temporary failure in name resolution|SSLError|CERTIFICATE_VERIFY_FAILED",
    re.IGNORECASE,
)


def count_requirements(lock: str) -> int:
    """How many packages a lock (the text of a requirements file) names."""
    return sum(1 for line in lock.splitlines() if _REQUIREMENT.match(line))


class PipProgress:
    """Fraction 0..1 of an installation, counted in packages: a fifth to resolve, half to download, the rest to install.

    Feed :meth:`take` every line; :meth:`installed` the number of packages on the disk now and then.
    """

    def __init__(self, total: int) -> None:
        self._total = max(1, total)
        self._considered = 0
        self._needed = 0
        self._downloaded = 0
        self._installing = 0
        self.fraction = 0.0
        self.message = ""
        self._errors: list[str] = []
        self._network = ""

    def take(self, line: str) -> bool:
        """Take in a line; whether it brought news."""
        text = line.strip()
        if text.startswith(("Collecting ", "Ignoring ")):
            self._considered += 1
            self._needed += text.startswith("Collecting ")
            name = text.split()[1].rstrip(":")
            return self._now(0.2 * self._considered / self._total, f"Resolving {name}")
        if text.startswith("Processing "):  # a wheel of a local folder: nothing is left to download
            self._considered += 1
            self._needed += 1
            self._downloaded += 1
            name = text.replace("\\", "/").rsplit("/", 1)[-1].split("-")[0]
            return self._now(0.7 * self._considered / self._total, f"Reading {name}")
        match = _DOWNLOAD.match(line)
        if match and not match[1].endswith(".metadata"):
            self._downloaded += 1
            size = f" ({match[2]})" if match[2] else ""
            name = match[1].rsplit("/", 1)[-1].split("-")[0]
            done = min(1.0, self._downloaded / max(1, self._needed)) * min(1.0, self._considered / self._total)
            return self._now(0.2 * self._considered / self._total + 0.5 * done, f"Downloading {name}{size}")
        if text.startswith("Installing collected packages:"):
            self._installing = text.count(",") + 1
            return self._now(0.7, f"Installing {self._installing} packages")
        if text.startswith("Successfully installed"):
            return self._now(1.0, "Packages installed")
        if text.startswith("ERROR:"):
            self._errors.append(text[len("ERROR:") :].strip())
        if _NETWORK.search(text):
            self._network = text
        return False

    def installed(self, count: int) -> bool:
        """``count`` packages lie in the environment; whether that is news."""
        if not self._installing:
            return False
        done = min(1.0, count / self._installing)
        return self._now(0.7 + 0.3 * done, f"Installing packages: {min(count, self._installing)} of {self._installing}")

    def fault(self, *, offline: str, code: int) -> tuple[str, str]:
        """(message, remedy) after pip ended with ``code`` ≠ 0; ``offline`` is the folder of wheels, if one was used."""
        told = " ".join(self._errors)
        if "DO NOT MATCH THE HASHES" in told:
            return (
                "A package is not the one that this release was tested with: its hash differs from the lock.",
                f"Put the exact wheels of requirements/engine.txt into {offline}." if offline
                else "Try again; if it stays so, a proxy or mirror alters downloads: ask who runs it.",
            )  # fmt: skip
        if "No space left" in told or "Errno 28" in told:
            return "The disk is full.", "Free some space, or choose another folder for the environment."
        if offline:
            missing = re.search(r"No matching distribution found for (\S+)", told)
            what = f"has no usable wheel of {missing[1]}" if missing else f"does not do: {told or f'exit code {code}'}"
            return (
                f"The folder of wheels {offline} {what}.",
                "Fill it with: pip download -r requirements/engine.txt --only-binary :all: -d FOLDER (same Python "
                "version and system).",
            )
        if self._network:
            return (
                f"The package index cannot be reached: {self._network[:300]}",
                "Check the network and QGIS's proxy (Settings ▸ Options ▸ Network), or use a folder of wheels.",
            )
        absent = re.search(r"No matching distribution found for (\S+)", told)
        if absent:
            return (
                f"The package index does not offer {absent[1]} for this Python and system, or cannot be reached.",
                "Check the network and QGIS's proxy (Settings ▸ Options ▸ Network), choose another Python, or use a "
                "folder of wheels.",
            )
        return (
            f"pip could not install the packages: {(told or f'exit code {code}')[:500]}",
            "See the log; then try again.",
        )

    def _now(self, fraction: float, message: str) -> bool:
        self.fraction = max(self.fraction, min(1.0, fraction))
        news = message != self.message
        self.message = message
        return news
