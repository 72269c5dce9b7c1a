"""Check sessions, each in an environment of its own made from uv.lock: `.venv/bin/nox -s NAME`."""

import nox

nox.options.default_venv_backend = "uv"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_missing_interpreters = False


def install(session: nox.Session, group: str) -> None:
    """Install the project and one dependency group, exactly as locked."""
    session.run_install(
        "uv",
        "sync",
        "--locked",
        "--quiet",
        "--no-default-groups",
        f"--group={group}",
        f"--python={session.virtualenv.location}",
        env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location, "UV_PYTHON_DOWNLOADS": "never"},
    )


@nox.session
def tests(session: nox.Session) -> None:
    """All tests; arguments after -- go to pytest."""
    install(session, "test")
    session.run("pytest", *session.posargs)


@nox.session
def contract(session: nox.Session) -> None:
    """The scenarios' contracts on every target that is at hand."""
    install(session, "test")
    session.run("pytest", "tests/contract", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and that the lock file fits pyproject.toml."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("uv", "lock", "--check", external=True)


@nox.session
def types(session: nox.Session) -> None:
    """Types of both packages."""
    install(session, "lint")
    session.run("mypy", "--strict", "-p", "pvesim", "-p", "proxmox_mcp")


@nox.session
def bench(session: nox.Session) -> None:
    """The measured targets; arguments after -- go to the benchmark."""
    install(session, "test")
    session.run("python", "-m", "bench", *session.posargs)
