"""A picture as a grid of segments, encoded and decoded."""
