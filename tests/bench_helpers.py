"""An external codec for tests of the benchmark."""

# A program that keeps the upper bits of every sample.
PROGRAM = """
import sys
import numpy as np
from PIL import Image

source, target, *q = sys.argv[1:]
if q:
    pixels = np.asarray(Image.open(source).convert("RGB"))
    step = 256 // int(q[0])
    np.savez_compressed(open(target, "wb"), pixels // step * step)
else:
    Image.fromarray(np.load(source)["arr_0"]).save(target)
"""
