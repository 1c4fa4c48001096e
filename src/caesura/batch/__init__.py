"""Many files: what is to be done, jobs, workers, the record of what was made."""
