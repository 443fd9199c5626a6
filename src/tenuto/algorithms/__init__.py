"""Pure tensor functions and the settings of every technique; nothing here knows diffusers."""
