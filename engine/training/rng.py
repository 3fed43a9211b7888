"""States of the random generators of a process, as tensors and plain numbers; and seeds derived from a few words."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor


def derive_seed(*words: int | str) -> int:
    """A seed of 63 bits that depends on all ``words`` and their order, the same on every machine."""
    digest = hashlib.sha256("/".join(str(word) for word in words).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def step_generator(device: torch.device | str, *words: int | str) -> torch.Generator:
    """A new generator for one step of one process: what it draws depends on ``words`` alone, never on the past."""
    return torch.Generator(device=device).manual_seed(derive_seed(*words))


def seed_everything(seed: int) -> None:
    """Seed torch (all devices) and numpy's global generator."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - third-party code may draw from it


def rng_state(device: torch.device) -> dict[str, Tensor]:
    """The state of torch's generators (processor, and ``device`` if it is CUDA) and of numpy's global one."""
    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002
    state = {
        "torch": torch.get_rng_state(),
        "numpy.keys": torch.from_numpy(np.asarray(keys, dtype=np.uint32).view(np.int32).copy()),
        "numpy.rest": torch.tensor([float(position), float(has_gauss), float(gauss)], dtype=torch.float64),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_rng_state(state: dict[str, Tensor], device: torch.device) -> None:
    """Put the generators back to a :func:`rng_state`; a state of CUDA is used on a CUDA device only."""
    torch.set_rng_state(state["torch"].cpu())
    keys = state["numpy.keys"].cpu().numpy().view(np.uint32)
    position, has_gauss, gauss = state["numpy.rest"].tolist()
    np.random.set_state(("MT19937", keys, int(position), int(has_gauss), gauss))  # noqa: NPY002
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
