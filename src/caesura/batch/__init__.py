"""Batches of files: what is to be done (tasks, plan), how (jobs, workers), and what was written (record)."""
