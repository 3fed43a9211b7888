"""The restyler of a run: made from its request, the CycleGAN trained first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engine.events import Reporter
from engine.training.crossview.images import FrameStore
from engine.training.crossview.request import CrossViewTrainRequest
from engine.training.crossview.restyle.cyclegan import CycleGan, Generator
from engine.training.crossview.restyle.transfer import Colour, Texture, Unchanged
from engine.training.distributed import World
from engine.training.loop import LoopSettings, TrainingLoop
from engine.training.rng import derive_seed

FOLDER = "restyle"
RATE = 2e-4
BETAS = (0.5, 0.999)


def fit_restyler(
    request: CrossViewTrainRequest,
    store: FrameStore,
    grounds: Sequence[int],
    world: World,
    *,
    folder: Path,
    reporter: Reporter,
) -> nn.Module:
    """What makes tiles of bird's-eye views: (views, mask, style) → images, all (N, 3, S, S) of 0…1.

    A CycleGAN is trained on the bird's-eye views of ``grounds`` and all tiles, unpaired, in ``folder``/restyle, and
    gone on with where ``request`` resumes. Raises what the training loop raises.
    """
    simple: dict[str, Callable[[], nn.Module]] = {"none": Unchanged, "colour": Colour, "texture": Texture}
    if request.restyle in simple:
        return simple[request.restyle]()
    home = folder / FOLDER
    if world.main:
        home.mkdir(exist_ok=True)
    world.wait()
    torch.manual_seed(derive_seed(request.seed, "cyclegan"))
    side = store.framing.overhead.size[0]
    gan = CycleGan(side=side, blocks=request.gan_blocks, width=request.gan_width, seed=request.seed)
    whole = request.gan_batch * world.size
    steps = max(1, round(request.gan_epochs * len(grounds) / whole))
    tiles = np.arange(len(store.data.overheads))

    def drawn(name: str, pool: Sequence[int], step: int) -> list[int]:
        """This process's members of ``pool`` at a step: a new order each time that all came."""
        first = step * whole
        found = []
        for number in range(first + world.rank, first + whole, world.size):
            turn, place = divmod(number, len(pool))
            order = np.random.default_rng(derive_seed(request.seed, "cyclegan", name, turn)).permutation(len(pool))
            found.append(int(pool[order[place]]))
        return found

    def batches(step: int, part: int) -> dict[str, Tensor]:
        return {
            "view": store.birds_eye(drawn("view", list(grounds), step)),
            "tile": store.overhead(drawn("tile", tiles.tolist(), step))[:, :3],
        }

    settings = LoopSettings(
        steps=steps,
        seed=request.seed,
        rate=RATE,
        weight_decay=0.0,
        clip=None,
        precision=request.precision,
        workers=request.workers,
        log_every=request.log_every,
        health_every=steps + 1,
        checkpoint_every=request.checkpoint_every,
    )
    loop = TrainingLoop(
        gan,
        batches,
        settings=settings,
        world=world,
        folder=home,
        reporter=reporter,
        samples=whole,
        facts={"steps": steps, "batch": request.gan_batch, "seed": request.seed},
        rates=_Held(steps),
    )
    for group in loop.optimiser.param_groups:
        group["betas"] = BETAS
    loop.run(resume=request.resume)
    made: Generator = gan.to_tile
    return made.eval().requires_grad_(False)


class _Held:
    """The published rates: full for the first half, then falling to 0 evenly."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def factor(self, step: int) -> float:
        """The factor of the rate."""
        half = self._steps / 2
        return 1.0 if step < half else max(0.0, (self._steps - step) / max(1.0, self._steps - half))
