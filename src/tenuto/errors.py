"""What can go wrong, as one tree.

Bad argument values are plain ``ValueError`` and ``TypeError``; these are the rest::

    TenutoError
    ├── UnsupportedModelError      no module of the model can be hooked
    ├── AlreadyAcceleratedError    the model carries the hooks of another handle
    ├── CalibrationError           a calibration file is unreadable or made for another run
    ├── NonFiniteError             NaN or infinity among the activations
    ├── WeightsError               a weights file is truncated, unsafe or of another model
    ├── CaptionError               a caption word outside the vocabulary (also ValueError)
    ├── MissingExtraError          an optional dependency is not installed (also ImportError)
    ├── ResultError                a result folder is incomplete or of another version
    ├── TraceFormatError           a trace is incomplete, altered or of another version
    ├── HardwareError              a trace lacks what an accelerator needs, or a sweep cannot run
    └── ToolError                  a program of the RTL flow is missing or reports an error
"""


class TenutoError(Exception):
    """Any failure that tenuto itself detects, other than a bad argument value."""


class UnsupportedModelError(TenutoError):
    """No module of the given pipeline or model can be hooked."""


class AlreadyAcceleratedError(TenutoError):
    """The model already carries tenuto's hooks."""


class CalibrationError(TenutoError):
    """A calibration file is unreadable, or its model, steps or scheduler differ from this run."""


class NonFiniteError(TenutoError):
    """Activations contain NaN or infinity, so nothing predicted from them can be right."""


class WeightsError(TenutoError):
    """A weights file is truncated, not safetensors, or does not fit its model."""


class CaptionError(TenutoError, ValueError):
    """A caption uses a word that the embedded model has never seen."""


class MissingExtraError(TenutoError, ImportError):
    """An optional dependency is needed here and is not installed."""


class ResultError(TenutoError):
    """A result folder is incomplete, malformed, or written by another version."""


class TraceFormatError(TenutoError):
    """A trace is incomplete, altered, or written by another version."""


class HardwareError(TenutoError):
    """A trace lacks what an accelerator needs, or a sweep cannot run as asked."""


class ToolError(TenutoError):
    """A program of the RTL flow is missing, or ended with an error."""
