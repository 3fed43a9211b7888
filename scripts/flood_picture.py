"""flood_picture.py RESULT PNG: the scene and the flood map of a folder that ``engine flood`` made, side by side."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import rasterio
from matplotlib.patches import Patch
from rasterio.enums import Resampling

from engine.mapping.flood.classes import CLASS_COLORS, CLASS_NAMES, NOT_OBSERVED
from engine.mapping.report.pictures import backscatter_rgb, class_rgb
from engine.sar.radiometry import to_db
from engine.sensors import Unit

SIZE = 1100
AREA_KEYS = {1: "reference_water", 2: "flood", 3: "water", 254: "excluded"}


def main(folder: Path, picture: Path) -> None:
    """Draw the picture."""
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    figures = result["figures"]
    scene = result["inputs"]["post"]
    with rasterio.open(folder / result["outputs"]["flood"]) as file:
        step = max(1, -(-max(file.shape) // SIZE))
        shape = (file.height // step, file.width // step)
        codes = file.read(1, out_shape=shape, resampling=Resampling.nearest)
        bounds, crs = file.bounds, file.crs
        simulated = file.tags().get("SIMULATED") == "yes"
    with rasterio.open(scene["path"]) as file:
        window = rasterio.windows.from_bounds(*bounds, transform=file.transform)
        numbers = [scene["bands"].get(name) for name in ("VV", "VH")]
        vv, vh = (
            to_db(
                file.read(n, window=window, out_shape=shape, masked=True, resampling=Resampling.average).filled(np.nan),
                Unit(scene["unit"]),
            )
            if n
            else np.full(shape, np.nan, np.float32)
            for n in numbers
        )
    radar = backscatter_rgb(vv, vh)

    unit = 1000.0 if crs.is_projected else 1.0
    extent = [0, (bounds.right - bounds.left) / unit, 0, (bounds.top - bounds.bottom) / unit]
    plt.rcParams |= {"font.size": 9, "axes.titlesize": 10}
    drawing, axes = plt.subplots(1, 2, figsize=(13, 7.2), sharex=True, sharey=True)
    drawing.subplots_adjust(left=0.04, right=0.985, bottom=0.06, top=0.9, wspace=0.05)
    observed = f" of {figures['observed_at']}" if figures.get("observed_at") else ""
    axes[0].imshow(radar, extent=extent, interpolation="nearest")
    axes[0].set_title(f"Sentinel-1{observed}: VV, VH, VV/VH")
    axes[1].imshow(class_rgb(codes, radar), extent=extent, interpolation="nearest")
    axes[1].set_title(f"Water and flood, method {figures['method']}")
    for axis in axes:
        axis.set_xlabel("km" if crs.is_projected else "degrees")
    areas = figures["area_m2"]
    shown = [code for code in AREA_KEYS if areas.get(AREA_KEYS[code])]
    legend = [
        Patch(
            color=np.array(CLASS_COLORS[code][:3]) / 255,
            label=f"{CLASS_NAMES[code]}: {areas[AREA_KEYS[code]] / 1e6:.2f} km²",
        )
        for code in shown
    ]
    if (codes == NOT_OBSERVED).any():
        legend.append(Patch(color="#e2e2de", label=CLASS_NAMES[NOT_OBSERVED]))
    if legend:
        axes[1].legend(handles=legend, loc="lower right", framealpha=0.95)
    what = "SIMULATED scene, no real observation. " if simulated else ""
    drawing.suptitle(f"{what}SameScene {result['engine_version']}: {Path(scene['path']).name}")
    drawing.savefig(picture, dpi=110)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
