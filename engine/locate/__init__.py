"""Where a photo was taken: the jobs of ``engine locate`` and their report."""
