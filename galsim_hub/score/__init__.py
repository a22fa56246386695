"""Score priors: learned and analytic densities of fields, and what is inferred with them."""
