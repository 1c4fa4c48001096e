"""The quality that meets a target."""
