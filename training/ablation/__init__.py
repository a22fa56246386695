"""What each choice of the galaxies' recipe buys: variants trained small and measured alike."""
