"""caesura: a learned image codec for photographs.

    data = caesura.encode(Image.open("photo.jpg"), quality=60)
    picture = caesura.decode(data)

Everything public is here; imported on first use, so that `import caesura` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caesura.codec import Recovered, decode, decode_array, encode, recover
    from caesura.errors import (
        CaesuraError,
        ChecksumError,
        ConfigError,
        DependencyError,
        FormatError,
        ImageError,
        LimitError,
        ModelError,
        SignatureError,
        TrainingError,
        TruncatedError,
        VersionError,
    )
    from caesura.format.container import Header, read_header
    from caesura.options import EncodeOptions
    from caesura.ratecontrol.search import Target

__version__ = "0.1.0"

__all__ = [
    "CaesuraError",
    "ChecksumError",
    "ConfigError",
    "DependencyError",
    "EncodeOptions",
    "FormatError",
    "Header",
    "ImageError",
    "LimitError",
    "ModelError",
    "Recovered",
    "SignatureError",
    "Target",
    "TrainingError",
    "TruncatedError",
    "VersionError",
    "__version__",
    "decode",
    "decode_array",
    "encode",
    "read_header",
    "recover",
]

_HOMES = {
    "EncodeOptions": "caesura.options",
    "Target": "caesura.ratecontrol.search",
    "Header": "caesura.format.container",
    "Recovered": "caesura.codec",
    "decode": "caesura.codec",
    "decode_array": "caesura.codec",
    "encode": "caesura.codec",
    "read_header": "caesura.format.container",
    "recover": "caesura.codec",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'caesura' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "caesura.errors")), name)


def __dir__() -> list[str]:
    return __all__
