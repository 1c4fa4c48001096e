"""What the drawn pictures are made of."""
