"""What an architecture does with one segment."""

from __future__ import annotations

MIN_EFFORT, DEFAULT_EFFORT, MAX_EFFORT = 1, 5, 9
