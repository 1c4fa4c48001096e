"""Tables that the tests of entropy coding share."""

from __future__ import annotations

import numpy as np

from caesura.entropy.control import INDICES
from caesura.entropy.tables import Table, quantize_probabilities

TABLES = [
    Table(-index, quantize_probabilities(np.append(0.8 ** np.abs(np.arange(-index, index + 1)), 1e-3)))
    for index in range(INDICES)
]
