"""The command line, `caesura COMMAND`.

Every command imports what it needs when it runs, so that the cheap ones start at once.
"""

from __future__ import annotations

import sys
import time

from caesura.errors import CaesuraError


def main() -> None:
    """Run the command line; errors of ours become one line and exit status 1, Ctrl-C 130."""
    began = time.monotonic()
    try:
        from caesura.cli.app import app  # here, since Ctrl-C may come early

        app(obj=began)  # `train --minutes` counts from here
    except CaesuraError as error:
        print(f"caesura: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
