"""The MCP project's own judges of a server: its conformance suite and its inspector.

They are installed by `nox -s conformance` and `nox -s inspector`, which name their folders in `MCP_CONFORMANCE` and
`MCP_INSPECTOR`; without these, as in the ordinary run of all tests, nothing here is collected.
"""

from __future__ import annotations

from tests.conformance.running import CONFORMANCE, INSPECTOR

collect_ignore = [
    *([] if CONFORMANCE else ["test_suite.py"]),
    *([] if INSPECTOR else ["test_inspector.py"]),
]
