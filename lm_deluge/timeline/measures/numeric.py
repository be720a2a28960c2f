"""numpy for the modules that need it, or an ImportError that says what to install."""

try:
    import numpy as np
    from numpy.typing import NDArray
except ImportError as error:
    message = "reports on timelines need numpy: pip install numpy"
    raise ImportError(message) from error

__all__ = ["Counts", "Flags", "Floats", "Histograms", "Small", "Words", "np"]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
Words = NDArray[np.uint64]
Small = NDArray[np.int8]
Histograms = NDArray[np.float32]
