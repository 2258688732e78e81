"""``python -m deploy.catalogue [--unreleased]``: write the generated files anew."""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.catalogue.files import broken_promises, documents, golden_schemas
from deploy.catalogue.wiring import wirings


def main() -> None:
    """Refuses to overwrite a golden schema that the code breaks with, unless it was never released."""
    root = Path.cwd()
    broken = broken_promises(root)
    if broken and sys.argv[1:] != ["--unreleased"]:
        sys.exit("\n".join([*broken, "Add optional fields only, or make a new message type."]))
    for path, text in (golden_schemas() | documents(wirings())).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if not (root / path).exists() or (root / path).read_text() != text:
            (root / path).write_text(text)
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
