"""CosmicRIM: a recurrent network learns to find initial conditions (arXiv:2104.12864)."""
