"""Where the arithmetic runs: processor, CUDA or Apple GPU, found without a torch import where none is needed."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.errors import DeviceError, MissingExtraError

if TYPE_CHECKING:
    import torch

Kind = Literal["cpu", "cuda", "mps"]

_REMEDY = "Use --device auto or --device cpu; 'engine doctor' tells which devices work here."


@dataclass(frozen=True)
class Device:
    """A device that exists here. ``index`` counts CUDA devices from 0; ``name`` is for people."""

    kind: Kind
    index: int = 0
    name: str = ""

    @property
    def spec(self) -> str:
        """What torch calls it: ``cpu``, ``cuda:0``, ``mps``."""
        return f"cuda:{self.index}" if self.kind == "cuda" else self.kind

    @property
    def torch(self) -> torch.device:
        """The torch device; imports torch."""
        import torch

        return torch.device(self.spec)

    def __str__(self) -> str:
        return f"{self.spec} ({self.name})" if self.name else self.spec


def choose_device(request: str = "auto") -> Device:
    """The device that ``request`` (``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``) means here.

    ``auto`` is the first CUDA device, else the Apple GPU, else the processor. Raises DeviceError for an unknown word,
    or when a device was asked for that is absent or does not answer.
    """
    wanted = request.strip().lower()
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", wanted):
        raise DeviceError(
            f"There is no device {request!r}; expected auto, cpu, cuda, cuda:N or mps.", remedy="Use --device auto."
        )
    if wanted == "cpu":
        return _cpu()
    if wanted == "auto":
        if _may_have_cuda():
            found = _cuda(0)
            if isinstance(found, Device):
                return found
        if _may_have_mps():
            found = _mps()
            if isinstance(found, Device):
                return found
        return _cpu()
    if wanted == "mps":
        found = _mps() if _may_have_mps() else "an Apple GPU needs macOS on Apple silicon"
    else:
        build = torch_build()
        if build.cuda is None:
            found = f"the installed torch {build.version} is built for the processor only"
        else:
            found = _cuda(int(wanted.partition(":")[2] or 0))
    if isinstance(found, str):
        raise DeviceError(f"The device {wanted} was asked for but cannot be used: {found}.", remedy=_REMEDY)
    return found


def describe_device() -> str:
    """The device that ``auto`` means, for people, in a few milliseconds where torch is built for the processor only.

    Never raises: a torch that is absent or broken is said in the text.
    """
    try:
        return str(choose_device("auto"))
    except (DeviceError, MissingExtraError) as error:
        return f"cpu ({error.message})"


@dataclass(frozen=True)
class TorchBuild:
    """What the installed torch was built for: its version and the CUDA (or ROCm) version, None for neither."""

    version: str
    cuda: str | None


def torch_build() -> TorchBuild:
    """Read from torch's own version file, without importing torch. Raises MissingExtraError where torch is absent."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            "The package torch is not installed in this Python.", remedy="Install the engine's requirements again."
        )
    try:
        text = (Path(next(iter(spec.submodule_search_locations))) / "version.py").read_text(encoding="utf-8")
    except OSError:
        text = ""
    values = dict(re.findall(r"^(__version__|cuda|hip)\b[^=\n]*=\s*['\"]([^'\"]+)['\"]", text, flags=re.MULTILINE))
    return TorchBuild(values.get("__version__", "unknown"), values.get("cuda") or values.get("hip"))


def cpu_name() -> str:
    """The processor's name, or its architecture where the system does not tell."""
    for line in _cpu_info().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown processor"


def usable_cpus() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_bfloat16(device: Device) -> bool:
    """True where the device multiplies bfloat16 in hardware (AVX-512 BF16 or AMX; CUDA compute capability 8.0)."""
    if device.kind == "cpu":
        flags = re.search(r"^flags\s*:(.*)$", _cpu_info(), flags=re.MULTILINE)
        return bool(flags and {"avx512_bf16", "amx_bf16"} & set(flags.group(1).split()))
    if device.kind == "cuda":
        import torch

        return bool(torch.version.hip) or torch.cuda.get_device_capability(device.index) >= (8, 0)
    return False


def to_device(value: torch.Tensor, device: torch.device) -> torch.Tensor:
    """``value`` on ``device``. To CUDA it is copied while the processor goes on; not to an Apple GPU, which reads what
    lies there when it comes to it, and that may have been freed."""
    return value.to(device, non_blocking=device.type == "cuda")


def off_apple(value: torch.Tensor) -> torch.Tensor:
    """``value`` on the processor where it is on an Apple GPU, else as it is: for what those GPUs do not have."""
    return value.cpu() if value.device.type == "mps" else value


def _cpu_info() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _cpu() -> Device:
    count = usable_cpus()
    return Device("cpu", 0, f"{cpu_name()}, {count} core{'s' if count != 1 else ''}")


def _may_have_cuda() -> bool:
    # A GPU build on a machine without the driver answers "no" after a slow import: look for the driver first.
    if torch_build().cuda is None:
        return False
    if sys.platform == "win32":
        return (Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "nvcuda.dll").exists()
    signs = ("/dev/nvidiactl", "/proc/driver/nvidia/version", "/dev/dxg", "/dev/kfd")
    return any(Path(sign).exists() for sign in signs)


def _may_have_mps() -> bool:
    return sys.platform == "darwin" and platform.machine() == "arm64"


def _cuda(index: int) -> Device | str:
    import torch

    try:
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            return "torch finds no CUDA device (driver absent, too old, or hidden by CUDA_VISIBLE_DEVICES)"
        if index >= count:
            return f"there are {count} CUDA devices, numbered 0 to {count - 1}"
        torch.zeros(1, device=f"cuda:{index}").add_(1).cpu()
        return Device("cuda", index, torch.cuda.get_device_name(index))
    except RuntimeError as error:
        return f"it does not answer ({' '.join(str(error).split())[:200]})"


def _mps() -> Device | str:
    import torch

    if not torch.backends.mps.is_available():
        return "torch finds no Apple GPU"
    try:
        torch.zeros(1, device="mps").add_(1).cpu()
    except RuntimeError as error:
        return f"it does not answer ({' '.join(str(error).split())[:200]})"
    return Device("mps", 0, f"Apple GPU, {platform.machine()}")
