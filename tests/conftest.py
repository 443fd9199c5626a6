"""Settings that all tests share."""

import torch
from hypothesis import settings

# The first example of a torch test pays for loading kernels, and machines differ: no time limit.
settings.register_profile("tenuto", deadline=None)
settings.load_profile("tenuto")

# Tiny models lose far more to waiting for a second thread than they gain from it.
torch.set_num_threads(1)
