"""The command line, `caesura COMMAND`.

Every command imports what it needs when it runs, so that the cheap ones start at once.
"""

from __future__ import annotations

import sys
import time

from caesura.errors import CaesuraError
from caesura.picture import streams


def main() -> None:
    """Run the command line; errors of ours become one line and exit status 1, Ctrl-C 130."""
    began = time.monotonic()
    streams.open_closed()
    try:
        from caesura.cli.app import app  # here, since Ctrl-C may come early

        try:
            app(obj=began)  # `train --minutes` counts from here
        finally:
            sys.stdout.flush()
    except CaesuraError as error:
        streams.complain(f"caesura: {error}")
        sys.exit(1)
    except OSError as error:  # of stdout: files have errors of ours
        streams.silence(sys.stdout)
        if not isinstance(error, BrokenPipeError):  # nobody wants to know more
            streams.complain(f"caesura: {error.strerror or error}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
