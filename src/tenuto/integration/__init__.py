"""Hooks that put a technique into a diffusers transformer and take it out again, bit for bit."""
