"""What can go wrong when a world is served.

SimError
  ServeError              the server cannot start as asked: port taken, certificate unreadable; says what to do
"""

from pvesim.core.errors import SimError


class ServeError(SimError):
    """The server cannot start as asked. Its text is one line for the user."""
