"""Choosing a device: what is asked for and absent is said; finding out costs no torch import on processor builds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine import device as devices
from engine.device import Device, choose_device, describe_device, has_bfloat16, torch_build
from engine.errors import DeviceError, MissingExtraError

ROOT = Path(__file__).resolve().parents[2]


def test_cpu_is_always_there() -> None:
    found = choose_device("cpu")
    assert (found.kind, found.spec) == ("cpu", "cpu") and "core" in found.name
    assert found.torch.type == "cpu"


@pytest.mark.parametrize("word", ["gpu", "", "cuda:", "cuda:x", "cpu:0", "tpu", "cuda:-1"])
def test_unknown_words_are_refused(word: str) -> None:
    with pytest.raises(DeviceError, match="expected auto, cpu, cuda, cuda:N or mps"):
        choose_device(word)


def test_cuda_asked_for_and_absent_is_one_line_with_a_remedy() -> None:
    if torch_build().cuda is not None:
        pytest.skip("this torch is built for CUDA")
    with pytest.raises(DeviceError) as caught:
        choose_device("cuda")
    assert "built for the processor only" in caught.value.message and torch_build().version in caught.value.message
    assert "--device cpu" in caught.value.remedy and "\n" not in caught.value.line


def test_an_index_beyond_the_devices_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(devices, "torch_build", lambda: devices.TorchBuild("2.11.0+cu130", "13.0"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(DeviceError, match=r"cuda:7 .*2 CUDA devices, numbered 0 to 1"):
        choose_device("cuda:7")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="finds no CUDA device"):
        choose_device("cuda")


def test_auto_falls_back_when_the_gpu_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: unknown\nerror")

    monkeypatch.setattr(devices, "_may_have_cuda", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "zeros", broken)
    assert choose_device("auto").kind == "cpu"
    monkeypatch.setattr(devices, "torch_build", lambda: devices.TorchBuild("2.11.0+cu130", "13.0"))
    with pytest.raises(DeviceError, match=r"does not answer \(CUDA error: unknown error"):
        choose_device("cuda:0")


@pytest.mark.skipif(sys.platform == "darwin", reason="Apple GPUs may be there")
def test_mps_elsewhere() -> None:
    with pytest.raises(DeviceError, match="mps was asked for"):
        choose_device("mps")


def test_describing_the_device_does_not_import_torch_on_a_processor_build() -> None:
    if torch_build().cuda is not None:
        pytest.skip("this torch is built for CUDA")
    code = "import sys; from engine.device import describe_device; print(describe_device(), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.startswith("cpu (") and done.stdout.split()[-1] == "False"


def test_torch_build_reads_the_version_that_torch_tells() -> None:
    import torch

    assert torch_build().version == torch.__version__
    assert torch_build().cuda == (torch.version.cuda or torch.version.hip)


def test_torch_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="torch is not installed"):
        torch_build()
    assert "torch is not installed" in describe_device()


@pytest.mark.parametrize(("flags", "wanted"), [("fpu avx512_bf16 sse", True), ("amx_bf16", True), ("avx512f", False)])
def test_bfloat16_of_a_processor_is_read_from_its_flags(
    monkeypatch: pytest.MonkeyPatch, flags: str, wanted: bool
) -> None:
    monkeypatch.setattr(devices, "_cpu_info", lambda: f"processor : 0\nmodel name\t: X 1\nflags\t\t: {flags}\n")
    assert has_bfloat16(Device("cpu")) is wanted
    assert devices.cpu_name() == "X 1"
