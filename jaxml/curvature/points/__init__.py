"""Critical points of networks too large for a matrix: found, certified, left."""
