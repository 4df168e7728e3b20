"""A run as it lies on disk: its arrays, its identity, its stages and its lock."""
