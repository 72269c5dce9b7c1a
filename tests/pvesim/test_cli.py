"""The command line, as a user meets it: in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import jsonschema
import pytest

PVESIM = [sys.executable, "-m", "pvesim.cli"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PVESIM, *arguments], capture_output=True, text=True, timeout=20, check=False)


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running `pvesim serve` on a free port, and what it printed until it was ready."""
    command = [*PVESIM, "serve", *arguments, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = ""
        try:
            for line in process.stdout:
                printed += line
                if line.startswith("Stop it"):
                    break
            yield process, printed
        finally:
            process.kill()


def shown(printed: str, what: str) -> str:
    found = re.search(rf"^  {what} +(.+)$", printed, re.MULTILINE)
    assert found, printed
    return found[1]


def test_help_loads_nothing_heavy() -> None:
    heavy = ("fastapi", "uvicorn", "pydantic", "requests", "yaml", "cryptography", "pvesim.engine", "pvesim.contract")
    script = f"import sys, pvesim.cli; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("serve", "--help")])
def test_help_is_printed(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def test_serve_shows_how_to_reach_it_and_ends_on_sigterm(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    with serving("single-node", "--root-password", "secret-1", "--ca-out", str(authority)) as (process, printed):
        url = shown(printed, "URL")
        context = ssl.create_default_context(cafile=str(authority))
        form = {"username": shown(printed, "User"), "password": shown(printed, "Password")}
        login = httpx.post(url + "/api2/json/access/ticket", data=form, verify=context)
        assert login.status_code == 200, login.reason_phrase
        assert login.json()["data"]["username"] == "root@pam"
        assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", shown(printed, "Fingerprint"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_serve_plain_http_logs_requests_and_ends_on_sigint() -> None:
    with serving("single-node", "--insecure-http", "--log-requests", "--time-scale", "0") as (process, printed):
        answer = httpx.get(shown(printed, "URL") + "/api2/json/version")
        assert (answer.status_code, answer.reason_phrase) == (401, "No ticket")
        assert "Fingerprint" not in printed
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert re.search(r"GET /api2/json/version -> 401 No ticket \(", process.stderr.read())


def test_the_environment_tells_what_no_argument_does(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"SCENARIOS": "single-node", "CLOCK": "auto", "TIME_SCALE": "0.5", "SEED": "5", "HOST": "127.0.0.2"}
    for name, value in given.items():
        monkeypatch.setenv(f"PVESIM_{name}", value)
    with serving("--insecure-http") as (_, printed):
        assert printed.splitlines()[0].endswith(" serves single-node")
        url = shown(printed, "URL")
        assert url.startswith("http://127.0.0.2:")
        assert httpx.get(f"{url}/_sim/clock").json()["mode"] == "auto"
    with serving("homelab", "--insecure-http", "--clock", "manual") as (_, printed):
        assert printed.splitlines()[0].endswith(" serves homelab")
        assert httpx.get(f"{shown(printed, 'URL')}/_sim/clock").json()["mode"] == "manual"


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "single-node", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.startswith(f"pvesim: port {port} on 127.0.0.1 is in use")
    assert done.stderr.count("\n") == 1


def test_check_tells_what_a_scenario_holds() -> None:
    done = run("check", "single-node")
    assert (done.returncode, done.stdout) == (0, "single-node: OK (1 node, 0 guests, 0 contract steps)\n")


def test_check_shows_every_problem_of_every_file_with_its_place(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("nodes:\n  pve1: {}\nvmz: 3\nseed: -1\n")
    done = run("check", str(bad), str(tmp_path / "none.yaml"), "single-node")
    assert done.returncode == 1
    assert f"{bad}:3:1: vmz" in done.stderr
    assert f"{bad}:4:1: seed" in done.stderr
    assert "none.yaml: cannot be read: No such file" in done.stderr
    assert done.stdout.startswith("single-node: OK")


def test_schema_is_a_json_schema() -> None:
    schema = json.loads(run("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate({"nodes": {"pve1": {}}}, schema)


def test_the_password_shown_is_the_scenarios(tmp_path: Path) -> None:
    scenario = tmp_path / "own.yaml"
    scenario.write_text("root_password: from-the-file\nnodes:\n  pve1: {}\n")
    with serving(str(scenario), "--insecure-http") as (_process, printed):
        assert shown(printed, "Password") == "from-the-file"


def test_an_unknown_scenario_lists_those_that_exist() -> None:
    done = run("serve", "no-such-scenario", "--port", "0")
    assert done.returncode == 1
    assert "no-such-scenario" in done.stderr
    assert "single-node" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--insecure-http", "--cert", "c.pem"), "--insecure-http has no certificate"),
        (("--cert", "c.pem"), "--cert and --key belong together"),
        (("--cert", "/no/c.pem", "--key", "/no/k.pem"), "cannot read /no/c.pem: No such file"),
        (("--cert", "c.pem", "--key", "k.pem", "--ca-out", "x.pem"), "--ca-out is for the certificate"),
        (("--ca-out", "/no/such/folder/ca.pem"), "cannot write /no/such/folder/ca.pem: No such file"),
    ],
)
def test_options_that_do_not_fit_are_one_line(arguments: tuple[str, ...], text: str) -> None:
    done = run("serve", "single-node", "--port", "0", *arguments)
    assert done.returncode == 1
    assert text in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_bad_option_value_is_a_usage_error() -> None:
    done = run("serve", "--time-scale", "-1")
    assert done.returncode == 2
    assert "--time-scale" in done.stderr


def test_several_worlds_have_ports_and_clusters_of_their_own(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    arguments = [*PVESIM, "serve", "homelab", "single-node", "--port", "0", "--ca-out", str(authority), "--json"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            context = ssl.create_default_context(cafile=str(authority))
            nodes = []
            for world in told["worlds"]:
                with httpx.Client(base_url=world["url"], verify=context) as client:
                    form = {"username": world["user"], "password": world["password"]}
                    ticket = client.post("/api2/json/access/ticket", data=form).json()["data"]["ticket"]
                    answer = client.get("/api2/json/nodes", headers={"cookie": f"PVEAuthCookie={ticket}"})
                    nodes.append(len(answer.json()["data"]))
            assert nodes == [3, 1]
            assert told["worlds"][0]["url"] != told["worlds"][1]["url"]
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()


def test_a_killed_server_comes_back_with_all_that_was_answered(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    made: list[str] = []
    for round in range(3):
        arguments = ("single-node", "--state", state, "--insecure-http", "--root-password", "secret-1")
        with serving(*arguments) as (process, printed), httpx.Client(base_url=shown(printed, "URL")) as client:
            form = {"username": "root@pam", "password": "secret-1"}
            ticket = client.post("/api2/json/access/ticket", data=form).json()["data"]
            headers = {
                "cookie": f"PVEAuthCookie={ticket['ticket']}",
                "CSRFPreventionToken": ticket["CSRFPreventionToken"],
            }
            pools = client.get("/api2/json/pools", headers=headers).json()["data"]
            assert sorted(pool["poolid"] for pool in pools) == sorted(made)
            for number in range(40):
                name = f"pool-{round}-{number}"
                assert client.post("/api2/json/pools", data={"poolid": name}, headers=headers).status_code == 200
                made.append(name)
            process.kill()


def test_one_state_file_is_for_one_world(tmp_path: Path) -> None:
    done = run("serve", "homelab", "single-node", "--state", str(tmp_path / "state"))
    assert done.returncode == 1
    assert done.stderr == "pvesim: --state keeps one world: serve the others by a command of their own\n"


def test_a_damaged_state_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"SQLite format 3\0" + bytes(400))
    done = run("serve", "single-node", "--port", "0", "--state", str(tmp_path / "state"))
    assert done.returncode == 1
    assert "the state file is damaged" in done.stderr
    assert done.stderr.count("\n") == 1


def test_check_tells_programs(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("vmz: 3\n")
    done = run("check", "--json", "single-node", str(bad))
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert found[0] == {"file": "single-node", "problems": [], "nodes": 1, "guests": 0, "contract steps": 0}
    assert "vmz" in found[1]["problems"][0]


def test_shells_can_complete() -> None:
    # Which shell the tests were started from says nothing of the one that is asked for.
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [*PVESIM, "--show-completion", "bash"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, env=environment)
    assert done.returncode == 0
    assert "_COMPLETE=complete_bash" in done.stdout
