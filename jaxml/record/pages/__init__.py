"""What a reader sees of runs: reports, tables and pictures."""
