"""The command line, `caesura COMMAND`.

Each command imports what it needs when it runs, so that short ones start fast.
"""

from __future__ import annotations

import sys
import time

from caesura.errors import CaesuraError
from caesura.picture import streams


def main() -> None:
    """Run the command line.

    Exit status: 1 after an error, with one line on stderr; 2 for wrong usage; 130 after Ctrl-C.
    """
    began = time.monotonic()
    streams.open_closed()
    try:
        from caesura.cli.app import app  # here, so that Ctrl-C during the import is handled

        try:
            app(obj=began)  # `train --minutes` counts from here
        finally:
            sys.stdout.flush()
    except CaesuraError as error:
        streams.print_error(f"caesura: {error}")
        sys.exit(1)
    except OSError as error:  # of stdout; those of files are CaesuraErrors
        streams.silence(sys.stdout)
        if not isinstance(error, BrokenPipeError):  # the reader has closed the pipe
            streams.print_error(f"caesura: {error.strerror or error}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
