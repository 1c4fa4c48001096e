"""`python -m caesura.cli`."""

from caesura.cli import main

main()
