"""``engine data check``."""

from __future__ import annotations

from typing import Any

from engine.cli.request_command import Layout, request_command
from engine.errors import InputError
from engine.training.data.request import DataCheckRequest

SHOWN = 10

LAYOUT = Layout(
    job="data-check",
    help="Read a data set as training would, and tell what is there, what is broken, class shares, dates and sizes.",
    positional=("path",),
    options={"out": ("--json", "-o", "--out")},
    metavars={"path": "PATH", "out": "FILE", "limit": "N", "max_days": "DAYS"}
    | {"max_missing": "SHARE", "max_cloud": "SHARE"},
    sections={
        "Input and output": ("path", "out", "limit"),
        "What is left out": ("max_days", "max_missing", "max_cloud"),
    },
    examples="""
    engine data check sen1floods11:v1.1@train --json check.json
    engine data check ssl4eo-s12:ssl4eo --limit 1000
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """The table that a person reads."""
    lines = [
        f"{result['place']} ({result['kind']}):",
        f"  items      {result['items']} in {result['groups']} groups: {result['pairs']} pairs, "
        f"{result['labelled']} labelled",
        f"  read       {result['read']}: {result['good']} good, {result['broken']} broken, "
        f"{sum(result['by_reason'].values()) - result['broken']} left out for other reasons",
    ]
    sizes = ", ".join(f"{s['height']} x {s['width']} ({s['items']})" for s in result["sizes"][:4])
    gsd = result.get("gsd_m")
    lines.append(f"  size       {sizes or 'none'}" + (f"; {gsd[0]:g} to {gsd[1]:g} m a pixel" if gsd else ""))
    for sensor, found in result.get("dates", {}).items():
        lines.append(f"  {sensor} dates   {found['first'][:10]} to {found['last'][:10]} ({found['known']} known)")
    days = result.get("days_between")
    if days:
        lines.append(f"  S1 to S2   median {days['median']:.1f} days, at most {days['largest']:.1f}")
    for sensor, found in result["statistics"].items():
        bands = zip(found["names"], found["mean"], found["std"], strict=True)
        lines.append(f"  {sensor} mean    " + ", ".join(f"{n} {m:.4g} ± {s:.3g}" for n, m, s in bands))
    lines += [
        f"  class {one['code']:<4} {one['share']:>7.2%}  {one['name'] or ''}".rstrip() for one in result["classes"]
    ]
    if result.get("ignored_share"):
        lines.append(f"  no label   {result['ignored_share']:>7.2%}")
    lines += [f"  in {one['items']:>6} scenes: {one['name']}" for one in result.get("scene_classes", [])[:SHOWN]]
    for reason, number in result["by_reason"].items():
        lines.append(f"  left out, {reason}: {number}")
    lines += [f"    {one['why']}" for one in result["left_out"][:SHOWN]]
    if len(result["left_out"]) > SHOWN:
        lines.append(f"    and {len(result['left_out']) - SHOWN} more" + ("" if "out" in options else " (see --json)"))
    if "out" in options:
        lines.append(f"All of it: {options['out']}")
    return lines


def refuse_broken(result: dict[str, Any]) -> InputError | None:
    """The error that a check ends with when something is broken: one line that names the first file."""
    broken = [one for one in result["left_out"] if one["broken"]] if result["broken"] else []
    if not broken:
        return None
    more = f" And {result['broken'] - 1} more." if result["broken"] > 1 else ""
    return InputError(f"{result['broken']} broken: {broken[-1 if result['kind'] == 'pack' else 0]['why']}{more}")


command = request_command(LAYOUT, DataCheckRequest, summary=summary, verdict=refuse_broken)
