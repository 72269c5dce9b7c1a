"""The distribution as a user installs it, in an environment that holds nothing else.

`nox -s build` makes both, and names them in `PVE_WHEEL` and `PVE_WHEEL_FOLDER`; without these, as in the ordinary run
of all tests, nothing here is collected.
"""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("PVE_WHEEL") else ["test_*.py"]
