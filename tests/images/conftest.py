"""The images of the Dockerfile, built by a Docker engine and started by testcontainers.

`nox -s containers` sets `PVE_IMAGES`; without it, as in the ordinary run of all tests, nothing here is collected.
`PVE_IMAGE_BASE` and `PVE_IMAGE_BUILD_BASE` are the Dockerfile's arguments BASE and BUILD_BASE.
"""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("PVE_IMAGES") else ["test_*.py"]
