"""Refuses a tree whose changelog, runtime and training package name different versions."""

import re
import sys
import tomllib
from pathlib import Path

import vcsharp

ROOT = Path(__file__).parent.parent


def main() -> int:
    """0 if all versions agree, else 1 with one line that says which do not."""
    heading = re.search(
        r"^## \[(?!Unreleased)([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M
    )
    training = tomllib.loads((ROOT / "training/pyproject.toml").read_text("utf-8"))
    versions = {
        "vcsharp/__init__.py": vcsharp.__version__,
        "CHANGELOG.md": heading.group(1) if heading else "no entry",
        "training/pyproject.toml": training["project"]["version"],
    }
    if len(set(versions.values())) == 1:
        return 0
    sys.stderr.write(f"versions differ: {versions}; make them one\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
