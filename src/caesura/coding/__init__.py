"""One segment: pixels to a payload and back, by the architecture of the model."""
