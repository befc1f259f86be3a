"""One file per study: the grid that it measures, nothing else."""
