"""Variables of page/drawn.html: the tables of drawn pictures, one for each quality."""

from __future__ import annotations

from typing import Any

from caesura.bench.formatting import count


def tables(results: dict[str, Any]) -> list[dict[str, Any]]:
    """A table for each SSIMULACRA 2, and one of files without loss.

    Args:
        results: the content of results.json.

    Returns:
        For each table: `key`, `title`, `sentence`, `codecs` (the names of the columns), and `rows`, each with
        `picture`, `ours`, `best` and `cells`. A cell has a codec's `bytes`, and in `percent` how many more
        bytes our first model needs; both are None if not known. `best` is the cell of the other codec with
        the fewest bytes, with its name in `codec`. Empty without drawn pictures.
    """
    drawn = results.get("drawn")  # older results lack it
    if not drawn:
        return []
    mine = [codec["name"] for codec in drawn["codecs"] if codec["ours"]]
    found = {(one["picture"], one["codec"], one["ssimulacra2"]): one["bytes"] for one in drawn["equal"]}
    made = []
    for score in dict.fromkeys(one["ssimulacra2"] for one in drawn["equal"]):
        others = [
            codec["name"]
            for codec in drawn["codecs"]
            if codec["name"] not in mine[:1]
            and any(found.get((p["name"], codec["name"], score)) is not None for p in drawn["pictures"])
        ]
        rows = []
        for picture in drawn["pictures"]:
            ours = found.get((picture["name"], mine[0], score))
            cells = {name: _cell(ours, found.get((picture["name"], name, score))) for name in others}
            reached = [name for name in others if name not in mine and cells[name]["bytes"] is not None]
            best = min(reached, key=lambda name: cells[name]["bytes"], default=None)
            shown = {"codec": best} | cells[best] if best else None
            rows.append({"picture": picture, "ours": ours, "best": shown, "cells": list(cells.values())})
        key, title = (
            ("exact", "without loss") if score is None else (f"{score:g}", f"SSIMULACRA 2 of {score:g}")
        )
        sentence = _sentence(rows, mine[0], title)
        made.append({"key": key, "title": title, "sentence": sentence, "codecs": others, "rows": rows})
    return made


def _cell(ours: int | None, theirs: int | None) -> dict[str, Any]:
    percent = None if ours is None or theirs is None else 100 * (ours / theirs - 1)
    return {"bytes": theirs, "percent": percent}


def _sentence(rows: list[dict[str, Any]], name: str, title: str) -> str:
    """On how many pictures our first model needs the fewest bytes, and on how many it does not."""
    there = [row for row in rows if row["ours"] is not None]
    fewer = sum(row["best"] is None or row["ours"] < row["best"]["bytes"] for row in there)
    at = title if title == "without loss" else f"at a {title}"
    text = f"{name} needs fewer bytes than every other codec on {fewer} of {count(len(rows), 'picture')} {at}"
    missed = len(rows) - len(there)
    return f"{text}; on {missed} it does not reach that quality." if missed else f"{text}."
