"""tenuto: diffusion transformers, faster without retraining.

The public names below load on first use, so that ``import tenuto`` is quick and needs no torch::

    handle = tenuto.accelerate(pipe, tenuto.DiTo(ratio=0.5))
"""

from importlib import import_module
from typing import TYPE_CHECKING

from tenuto.errors import (
    AlreadyAcceleratedError,
    CalibrationError,
    CaptionError,
    HardwareError,
    MissingExtraError,
    NonFiniteError,
    ResultError,
    TenutoError,
    ToolError,
    TraceFormatError,
    UnsupportedModelError,
    WeightsError,
)

if TYPE_CHECKING:
    from tenuto import accelerators, baselines, golden, presets, traces, zoo
    from tenuto.algorithms.dito import DiTo
    from tenuto.algorithms.eager_prediction import EagerPrediction
    from tenuto.algorithms.ffn_reuse import FFNReuse
    from tenuto.algorithms.orbis import ORBIS
    from tenuto.integration.accelerate import Handle, accelerate
    from tenuto.integration.apply import AppliedTenuto, apply_tenuto
    from tenuto.integration.composed import Composed
    from tenuto.integration.families import BlockFamily, ModelFamily, register_family
    from tenuto.integration.stats import Stats

__version__ = "0.1.0"

# Sorted as plain text; ruff takes ORBIS for a constant.
__all__ = [  # noqa: RUF022
    "AlreadyAcceleratedError",
    "AppliedTenuto",
    "BlockFamily",
    "CalibrationError",
    "CaptionError",
    "Composed",
    "DiTo",
    "EagerPrediction",
    "FFNReuse",
    "Handle",
    "HardwareError",
    "MissingExtraError",
    "ModelFamily",
    "NonFiniteError",
    "ORBIS",
    "ResultError",
    "Stats",
    "TenutoError",
    "ToolError",
    "TraceFormatError",
    "UnsupportedModelError",
    "WeightsError",
    "__version__",
    "accelerate",
    "accelerators",
    "apply_tenuto",
    "baselines",
    "golden",
    "presets",
    "register_family",
    "traces",
    "zoo",
]

_MODULE_OF_NAME = {
    "AppliedTenuto": "tenuto.integration.apply",
    "BlockFamily": "tenuto.integration.families",
    "Composed": "tenuto.integration.composed",
    "DiTo": "tenuto.algorithms.dito",
    "EagerPrediction": "tenuto.algorithms.eager_prediction",
    "FFNReuse": "tenuto.algorithms.ffn_reuse",
    "Handle": "tenuto.integration.accelerate",
    "ModelFamily": "tenuto.integration.families",
    "ORBIS": "tenuto.algorithms.orbis",
    "Stats": "tenuto.integration.stats",
    "accelerate": "tenuto.integration.accelerate",
    "apply_tenuto": "tenuto.integration.apply",
    "register_family": "tenuto.integration.families",
}
_SUBPACKAGES = frozenset({"accelerators", "baselines", "golden", "presets", "traces", "zoo"})


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562) and keep it."""
    if name in _SUBPACKAGES:
        return import_module(f"tenuto.{name}")
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module 'tenuto' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF_NAME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
