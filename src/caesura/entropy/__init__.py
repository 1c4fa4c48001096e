"""Entropy coding: integer tables, the coder that uses them, and one module per prior."""
