"""The pipelines of this project, and those that docs/ci.md gives to others.

What needs nothing but their text is part of all tests. `nox -s pipelines` installs judges besides, and names their
folder in `PVE_PIPELINE_TOOLS`; without it what asks them is not collected.
"""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("PVE_PIPELINE_TOOLS") else ["test_judged.py"]
