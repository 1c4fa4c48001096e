"""The bytes of a .cae file."""
