"""Pixels, transparency, metadata and picture files."""
