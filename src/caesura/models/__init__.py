"""Model bundles, and quality as a position on a model's ladder."""
