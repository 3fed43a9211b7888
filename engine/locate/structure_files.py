"""Approximate structures beside an index: made when first needed, checked before they are read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from engine.crossview.index.card import LayerFacts
from engine.crossview.index.reader import CellIndex
from engine.crossview.index.writer import digest
from engine.crossview.search.structures import Kind, build_structure, load_structure
from engine.events import Reporter
from engine.outputs import explain_os_error, sync


def structure_of(index: CellIndex, facts: LayerFacts, kind: Kind, reporter: Reporter) -> Any:
    """The structure of a layer, from its file, or made now and kept in the index folder. A file of another state of the
    index, or whose digest is not the noted one, is made anew. Raises OutputError, DamagedFileError, Cancelled."""
    path = index.folder / f"{facts.name}.{kind}.faiss"
    note = path.with_suffix(".json")
    state = [file.sha256 for shard in index.card.shards for file in shard.files.values()]
    rows = index.cells * len(facts.scales_m)
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        if known == {"of": state, "sha256": digest(path)}:
            return load_structure(path, kind, rows)
    except (OSError, ValueError):
        reporter.log(f"There is no {kind} structure of this index yet.")
    reporter.progress(0.0, "structure", f"Making the {kind} structure")
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        build_structure(index, facts.name, kind, partial, reporter)
        sync(partial)
        content = json.dumps({"of": state, "sha256": digest(partial)})
        note.unlink(missing_ok=True)
        partial.replace(path)
        _note(note, content)
    except OSError as error:
        raise explain_os_error(error, path) from error
    finally:
        partial.unlink(missing_ok=True)
    return load_structure(path, kind, rows)


def _note(path: Path, content: str) -> None:
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    partial.write_text(content, encoding="utf-8")
    sync(partial)
    partial.replace(path)
