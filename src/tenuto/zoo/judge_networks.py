"""The two small classifiers behind the judge: what a clip or a picture shows, as logits."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenuto.zoo.words import MOTIONS, TRAINED_BACKGROUNDS, TRAINED_OBJECTS

SIDE_PX, NUM_FRAMES = 64, 16  # what the networks look at; other sizes are scaled to it
STILLS = (0, 5, 10, 15)  # frames from which a clip's object and background are read
MOTION_SIDE_PX = 32
NO_OBJECT = len(TRAINED_OBJECTS)  # class of the second slot of a picture with one object


class Eye(nn.Sequential):
    """Features of a picture: ``(n, 3, 64, 64)`` to ``(n, 96, 8, 8)``."""

    def __init__(self, in_channels: int = 3, widths: tuple[int, ...] = (24, 48, 96, 96)):
        strides = (2,) * 3 + (1,) * (len(widths) - 3)
        layers = []
        for width, stride in zip(widths, strides, strict=True):
            layers += [
                nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            in_channels = width
        super().__init__(*layers)


class ClipClassifier(nn.Module):
    """Reads object and background from four frames and the motion from all of them."""

    def __init__(self):
        super().__init__()
        self.still = Eye()
        self.object = nn.Linear(2 * 96, len(TRAINED_OBJECTS))
        self.background = nn.Linear(2 * 96, len(TRAINED_BACKGROUNDS))
        # all frames at once, as channels: what moves is seen by the first convolution
        self.moving = Eye(3 * NUM_FRAMES, (64, 96, 96))
        self.motion = nn.Linear(96 * 4 * 4, len(MOTIONS))

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the logits of object, background and motion.

        Args:
            clips: ``(n, 3, frames, height, width)`` in [-1, 1].
        """
        clips = F.interpolate(clips, (NUM_FRAMES, SIDE_PX, SIDE_PX), mode="trilinear")
        stills = clips[:, :, STILLS].transpose(1, 2).flatten(0, 1)  # (n * stills, 3, h, w)
        seen = self.still(stills)
        seen = torch.cat([seen.mean((2, 3)), seen.amax((2, 3))], dim=1)
        seen = seen.unflatten(0, (-1, len(STILLS)))
        coarse = F.avg_pool3d(clips, (1, 2, 2)).flatten(1, 2)  # (n, 3 * frames, 32, 32)
        motion = self.motion(self.moving(coarse).flatten(1))
        return self.object(seen).mean(1), self.background(seen).mean(1), motion


class PictureClassifier(nn.Module):
    """Reads the left and the right object and the background of a picture."""

    def __init__(self):
        super().__init__()
        self.still = Eye()
        self.slots = nn.Linear(96 * 2 * 4, 2 * (NO_OBJECT + 1))
        self.background = nn.Linear(96, len(TRAINED_BACKGROUNDS))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the logits of the left object, the right object (or none) and the background.

        Args:
            pictures: ``(n, 3, height, width)`` in [-1, 1].
        """
        pictures = F.interpolate(pictures, (SIDE_PX, SIDE_PX), mode="bilinear")
        seen = self.still(pictures)
        left, right = self.slots(F.adaptive_max_pool2d(seen, (2, 4)).flatten(1)).chunk(2, dim=1)
        return left, right, self.background(seen.mean((2, 3)))
