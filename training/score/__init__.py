"""Score priors: denoising score matching on points, fields and maps."""
