"""What is installed here, and what a model folder could be accelerated with, before any weight."""
