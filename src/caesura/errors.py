"""The errors that caesura raises for values and files that cannot be used.

CaesuraError
├── FormatError            the bytes are not a readable .cae file; an OSError, too
│   ├── SignatureError     they do not start with its signature (another format, or not a picture)
│   ├── VersionError       they were written by a newer caesura
│   ├── TruncatedError     they end before the file is complete
│   ├── ChecksumError      a chunk was damaged
│   └── LimitError         a size is beyond what the format or the caller allows
├── ModelError             a bundle is missing, damaged or unknown
├── ImageError             a picture cannot be coded or read
├── ConfigError            a setting has a value that is not allowed
├── TrainingError          a training run cannot continue
└── DependencyError        an optional extra is not installed

Messages name the field, what was got and what is allowed. Arguments of a wrong type raise TypeError with such
a message (`caesura.arguments`). Errors of the system are passed on: FileNotFoundError and other OSErrors of
paths, MemoryError.
"""


class CaesuraError(Exception):
    """The base class of caesura's errors."""


class FormatError(CaesuraError, OSError):
    """The bytes are not a readable .cae file.

    It is also an OSError, which Pillow's users catch for damaged pictures; `errno` and `strerror` are None.
    """


class SignatureError(FormatError):
    """The bytes do not start with the .cae signature."""


class VersionError(FormatError):
    """The format version of the file is newer than this version of caesura can read."""


class TruncatedError(FormatError):
    """The file ends before all of its chunks are complete."""


class ChecksumError(FormatError):
    """A chunk does not match its checksum."""


class LimitError(FormatError):
    """A size is beyond what the format or the caller's limit allows."""


class ModelError(CaesuraError):
    """A model bundle is missing, damaged or unknown."""


class ImageError(CaesuraError):
    """A picture cannot be coded, by its mode, shape, dtype or size, or a picture file cannot be read."""


class ConfigError(CaesuraError):
    """A setting has a value that is not allowed."""


class TrainingError(CaesuraError):
    """A training run cannot continue: a process was lost, processes disagree, or the run diverged."""


class DependencyError(CaesuraError):
    """An optional part of caesura needs a package that is not installed."""
