"""Settings that all tests share."""

from hypothesis import settings

# The first example of a torch test pays for loading kernels, and machines differ: no time limit.
settings.register_profile("tenuto", deadline=None)
settings.load_profile("tenuto")
