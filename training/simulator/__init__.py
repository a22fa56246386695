"""The particle-mesh simulator as a published module: nothing is fitted, its graph is exported."""
