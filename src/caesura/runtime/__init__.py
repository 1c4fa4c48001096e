"""The networks, their runtimes, and threads."""
