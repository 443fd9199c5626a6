"""Recipes: how what the package ships was made. The library imports nothing from here."""
