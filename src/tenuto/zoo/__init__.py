"""Small trained diffusion transformers that ship with the package."""
