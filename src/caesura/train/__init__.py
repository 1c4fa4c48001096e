"""Training: photos -> packed squares -> network and prior -> checkpoint -> bundle.

The only part of caesura that imports torch (extra ``[train]``).
"""
