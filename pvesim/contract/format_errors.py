"""The one error of a value that does not have its format."""

from __future__ import annotations

from collections.abc import Callable


class FormatError(ValueError):
    """A value has not the format it should have. The text is PVE's, without the line feed at its end."""


# Raises FormatError when the text does not have the format.
Check = Callable[[str], None]
