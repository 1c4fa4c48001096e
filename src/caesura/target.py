"""The former address of `caesura.Target`."""

from caesura.ratecontrol.search import Target

__all__ = ["Target"]
