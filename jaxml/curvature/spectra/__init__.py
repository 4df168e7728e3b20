"""Where the eigenvalues lie: ends of the spectrum, densities, diagonals and indices."""
