"""Named settings: those in a ``tenuto.toml``, and the calibrations that ship in this folder.

handle = tenuto.accelerate(pipe, *tenuto.presets.load("my-model"))
handle = tenuto.accelerate(pipe, tenuto.DiTo(schedule="emoji-video-unipc40-2x"))
"""

from tenuto.integration.preset import FILE_NAME, Preset, load, read

__all__ = ["FILE_NAME", "Preset", "load", "read"]
