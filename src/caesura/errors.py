"""Every error that caesura raises on purpose for values and files that cannot be used.

CaesuraError
├── FormatError            the bytes are not a readable .cae file; an OSError, too
│   ├── SignatureError     they do not start like one (another format, or not a picture at all)
│   ├── VersionError       they were written by a newer caesura
│   ├── TruncatedError     they end too early
│   ├── ChecksumError      a chunk was damaged
│   └── LimitError         a size is beyond what the format or the caller allows
├── ModelError             a bundle is missing, damaged or unknown
├── ImageError             pixels that cannot be coded
├── ConfigError            a setting that cannot be used
├── TrainingError          a training run that cannot go on
└── DependencyError        an optional extra is not installed

Messages name the field, what was got and what is allowed. Arguments of a wrong type are TypeErrors, with such
messages (`caesura.arguments`). What the system raises stays as it is: FileNotFoundError and other OSErrors of
paths, MemoryError.
"""


class CaesuraError(Exception):
    """Base of all errors raised on purpose."""


class FormatError(CaesuraError, OSError):
    """The bytes are not a readable .cae file.

    An OSError as well, since that is what Pillow's users catch for damaged pictures; `errno` and `strerror`
    are None.
    """


class SignatureError(FormatError):
    """The bytes do not start with the .cae signature."""


class VersionError(FormatError):
    """The file's format version is newer than this program knows."""


class TruncatedError(FormatError):
    """The file ends before everything it promises has come."""


class ChecksumError(FormatError):
    """A chunk does not match its checksum."""


class LimitError(FormatError):
    """A size is beyond what the format or the caller's limit allows."""


class ModelError(CaesuraError):
    """A model bundle is missing, damaged or unknown."""


class ImageError(CaesuraError):
    """Pixels that cannot be coded: mode, shape, dtype or size."""


class ConfigError(CaesuraError):
    """A setting has a value that cannot be used."""


class TrainingError(CaesuraError):
    """A training run cannot go on: a process of several was lost, they no longer agree, or it diverged."""


class DependencyError(CaesuraError):
    """An optional part of caesura needs a package that is not installed."""
