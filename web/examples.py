"""The page's examples: three photographs, coded small enough for links.

python web/examples.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image
from skimage import data

import caesura

MOST_BYTES = 20_000
PHOTOGRAPHS = {"astronaut": "Astronaut", "coffee": "Coffee", "chelsea": "Chelsea the cat"}


def main() -> None:
    """Write the pictures and their list to the folder named."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for name, title in PHOTOGRAPHS.items():
        photograph = Image.fromarray(getattr(data, name)())
        file = caesura.encode(photograph, target=caesura.Target(bytes=MOST_BYTES))
        (folder / f"{name}.cae").write_bytes(file)
        entries.append({"name": name, "file": f"{name}.cae", "title": title})
    (folder / "index.json").write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
