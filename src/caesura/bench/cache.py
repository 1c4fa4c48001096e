"""Measurements kept in an append-only file of JSON lines, so that an interrupted run can be resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from caesura.picture.files import FileError

NAME = "cache.jsonl"


class Cache:
    """Values by kind and key, in memory and in a file. Damaged lines are ignored.

    Args:
        folder: of the file, which is created when the first value is put.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._values: dict[str, Any] = {}
        if not self._path.exists():
            return
        content = self._path.read_bytes()
        for line in content.split(b"\n"):
            try:
                entry = json.loads(line)
                self._values[_key(entry["kind"], entry["key"])] = entry["value"]
            except (ValueError, TypeError, KeyError):
                continue
        if content and not content.endswith(b"\n"):  # the last run was killed while writing
            self._append("")

    def get(self, kind: str, key: dict[str, Any]) -> dict[str, Any] | None:
        """The value, or None."""
        value = self._values.get(_key(kind, key))
        return value if isinstance(value, dict) else None

    def put(self, kind: str, key: dict[str, Any], value: dict[str, Any]) -> None:
        """Store a value."""
        self._append(json.dumps({"kind": kind, "key": key, "value": value}, allow_nan=False))
        self._values[_key(kind, key)] = value

    def _append(self, line: str) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as out:
                out.write(line + "\n")
        except OSError as error:
            raise FileError(f"{self._path}: {error.strerror or error}") from error


def _key(kind: str, key: Any) -> str:
    return json.dumps([kind, key], sort_keys=True)
