"""tenuto in ComfyUI: copy this folder into `custom_nodes` and restart.

Tested against a small fake of ComfyUI's node interface (tests/integration/test_comfyui_example.py),
not in ComfyUI itself.
"""

from .nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
