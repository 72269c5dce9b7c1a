"""The images of the Dockerfile, built and started by testcontainers.

`nox -s images` sets `PVE_IMAGES`; without it, as in the ordinary run of all tests, nothing here is collected.
`PVE_IMAGE_BASE` is another base image.
"""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("PVE_IMAGES") else ["test_*.py"]
