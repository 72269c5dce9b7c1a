"""A node that cannot be used is told in one clear sentence, and nothing is done to it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner

from pvesim import Simulator
from pvesim.serve import Identity, SimServer
from tests.real.__main__ import app
from tests.real.conftest import Served

GIB = 1024**3


def said(*options: str) -> str:
    """What the command says when it gives up, in one paragraph."""
    result = CliRunner().invoke(app, list(options))
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1
    text = result.output.strip()
    assert "Traceback" not in text
    assert "PROXMOX_" not in text, "these are the server's settings, not this command's options"
    return text


def url(host: str, port: int) -> str:
    return f"https://{host}:{port}"


@pytest.fixture
def reached(served: Served) -> tuple[str, ...]:
    """The options that reach the node."""
    return (
        *("--url", url(served.server.host, served.server.port)),
        *("--password", "pvesim-root", "--ca", str(served.server.ca_file)),
    )


@contextmanager
def node(
    identity: Identity, scenario: dict[str, Any], time_scale: float = 0
) -> Iterator[tuple[Simulator, tuple[str, ...]]]:
    """A node by a scenario, and the options that reach it."""
    simulator = Simulator(scenario, clock="scaled", time_scale=time_scale)
    with SimServer(simulator, identity=identity) as server:
        yield (
            simulator,
            ("--url", url(server.host, server.port), "--password", "pvesim-root", "--ca", str(server.ca_file)),
        )


def test_no_address() -> None:
    assert said() == "Give the node's address: --url, or PVE_TEST_URL."


@pytest.mark.parametrize("address", ["http://192.0.2.10:8006", "https://", "ftp://x"])
def test_what_is_no_address(address: str) -> None:
    text = said("--url", address, "--password", "x")
    assert f"{address!r} is no address of a node; give one such as https://192.0.2.10:8006." in text


@pytest.mark.parametrize("ids", ["9000", "9099-9000", "10-20", "a-b"])
def test_what_is_no_range(ids: str) -> None:
    assert f"{ids!r} is no range of ids" in said("--url", "https://127.0.0.1", "--password", "x", "--range", ids)


def test_no_such_scenario(reached: tuple[str, ...]) -> None:
    assert "No scenario has nonesuch in its name; there are: contract/access, " in said(
        *reached, "--scenario", "nonesuch"
    )


def test_no_credentials() -> None:
    text = said("--url", "https://127.0.0.1:1")
    assert text == "There are no credentials for root@pam. Set --token (better), or --password."


def test_a_token_that_is_half() -> None:
    text = said("--url", "https://127.0.0.1:1", "--token", "root@pam!run")
    assert "user@realm!name=secret" in text


def test_a_wrong_password(served: Served, reached: tuple[str, ...]) -> None:
    before = served.state()
    text = said(*reached, "--password", "wrong")
    assert text.startswith("PVE does not accept the login: authentication failure. Check --user")
    assert served.state() == before


def test_a_token_that_there_is_not(reached: tuple[str, ...]) -> None:
    text = said(*reached, "--token", "root@pam!none=00000000-0000-4000-8000-000000000001")
    assert text.startswith("PVE does not accept the login")
    assert "--token" in text


def test_a_token_without_rights_is_told_the_line_that_gives_them(served: Served, reached: tuple[str, ...]) -> None:
    answer = served.simulator.connect().access.users("root@pam").token("run").post()
    before = served.state()
    text = said(*reached, "--token", f"root@pam!run={answer['value']}")
    assert text.startswith("root@pam!run lacks Datastore.Allocate, ")
    assert text.endswith("pveum acl modify / --tokens 'root@pam!run' --roles Administrator")
    assert served.state() == before


def test_a_user_without_rights_is_told_the_line_that_gives_them(served: Served, reached: tuple[str, ...]) -> None:
    served.simulator.connect().access.users.post(userid="small@pve", password="small-secret")
    text = said(*reached, "--user", "small@pve", "--password", "small-secret")
    assert text.endswith("pveum acl modify / --users 'small@pve' --roles Administrator")


def test_a_node_in_use(served: Served, reached: tuple[str, ...]) -> None:
    served.simulator.connect().nodes.pve1.qemu.post(vmid=100, name="theirs", memory=64)
    before = served.state()
    assert "holds 1 guests that no run made" in said(*reached)
    assert served.state() == before


def test_a_range_that_is_taken(served: Served, reached: tuple[str, ...]) -> None:
    served.simulator.connect().nodes.pve1.qemu.post(vmid=9005, name="theirs", memory=64)
    before = served.state()
    text = said(*reached, "--range", "9000-9099", "--pool", "pvemcp-test")
    assert "There are guests in the range 9000-9099 already: 9005. Give another range" in text
    assert served.state() == before


def test_a_range_with_disks_of_guests_that_are_gone(served: Served, reached: tuple[str, ...]) -> None:
    """They would be destroyed with a guest of that id."""
    content = served.simulator.connect().nodes.pve1.storage.local.content
    content.post(vmid=9005, filename="vm-9005-disk-0.qcow2", size="1G", format="qcow2")
    before = served.state()
    assert "disks of guests in the range 9000-9099, though not the guests: local:9005/vm-9005-disk-0.qcow2" in said(
        *reached
    )
    assert served.state() == before


def test_a_range_that_is_too_small_for_a_scenario(reached: tuple[str, ...]) -> None:
    text = said(*reached, "--range", "9000-9001", "--pool", "p", "--scenario", "contract/snapshots")
    assert "The range 9000-9001 is too small: 6 ids are needed. That is for contract/snapshots." in text


def test_a_node_without_room(identity: Identity) -> None:
    world = {"nodes": {"pve1": {"hardware": {"root_size": 10 * GIB, "root_used": 9 * GIB}}}}
    with node(identity, world) as (_, options):
        assert "root file system has 1.0 GiB free" in said(*options)


def test_a_pve_that_is_too_old(identity: Identity) -> None:
    with node(identity, {"release": {"release": "7.4", "version": "7.4.3"}, "nodes": {"pve1": {}}}) as (_, options):
        assert said(*options) == "The node runs PVE 7.4.3; 8 and 9 are supported."


def test_an_older_pve_leaves_out_what_it_does_not_have(identity: Identity) -> None:
    with node(identity, {"release": {"release": "8.4", "version": "8.4.1"}, "nodes": {"pve1": {}}}) as (_, options):
        result = CliRunner().invoke(app, [*options, "--scenario", "agent", "--scenario", "availability", "--throwaway"])
    assert result.exit_code == 0, result.output
    assert "PVE 8 has one privilege for all that an agent does" in result.output
    assert "PVE 8 has groups for high availability, no rules" in result.output


def test_storages_that_take_next_to_nothing_do_not_matter(identity: Identity) -> None:
    """The run's storages are its own, so that what others take is no hindrance."""
    world = {"nodes": {"pve1": {}}, "storages": {"local": {"type": "dir", "config": {"content": "iso"}}}}
    with node(identity, world) as (_, options):
        result = CliRunner().invoke(app, [*options, "--scenario", "diagnosis"])
    assert result.exit_code == 0, result.output
    assert " passed, 0 left out, 0 broken: 100% of all steps, in " in result.output


# -- the way there -----------------------------------------------------------------------------------------------------


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        text = said("--url", url("127.0.0.1", port), "--password", "x")
    assert text.startswith(f"127.0.0.1:{port} cannot be reached: Connection refused. Check --url")


def test_a_name_that_nobody_knows() -> None:
    assert "nowhere.invalid:8006 cannot be reached" in said("--url", "https://nowhere.invalid:8006", "--password", "x")


def test_a_certificate_that_is_not_trusted(served: Served) -> None:
    text = said("--url", url(served.server.host, served.server.port), "--password", "pvesim-root")
    assert "is not trusted" in text
    assert "Set --ca to the cluster's /etc/pve/pve-root-ca.pem, or --fingerprint" in text


def test_another_fingerprint(served: Served, reached: tuple[str, ...]) -> None:
    text = said(*reached, "--fingerprint", ":".join(["00"] * 32))
    assert "is not the one that --fingerprint names; nothing was sent to it." in text


def test_what_is_no_fingerprint(reached: tuple[str, ...]) -> None:
    assert said(*reached, "--fingerprint", "00:11").startswith("fingerprint: ")


@contextmanager
def web_server(identity: Identity, *, tls: bool) -> Iterator[int]:
    """A web server that is no PVE."""

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            body = b"<html>It works!</html>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keeps silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    if tls:
        server.socket = identity.context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_something_that_is_no_pve(identity: Identity) -> None:
    with web_server(identity, tls=True) as port:
        text = said("--url", url("127.0.0.1", port), "--password", "x", "--insecure")
    assert text.startswith("The host answers, but not as the PVE API does. Check --url")


def test_something_that_speaks_no_tls(identity: Identity) -> None:
    with web_server(identity, tls=False) as port:
        text = said("--url", url("127.0.0.1", port), "--password", "x")
    assert "does not speak TLS as PVE does" in text


# -- slow, and broken off ----------------------------------------------------------------------------------------------


def test_an_api_that_gives_no_answer(served: Served, reached: tuple[str, ...]) -> None:
    before = served.state()
    served.simulator.faults.add("asleep", path="/version", connection="drop")
    text = said(*reached)
    assert "broke the connection off before its answer was complete" in text
    served.simulator.faults.clear()
    assert served.state() == before


def test_an_api_that_takes_too_long(identity: Identity) -> None:
    with node(identity, {"nodes": {"pve1": {}}}, time_scale=1) as (simulator, options):
        simulator.faults.add("slow", path="/version", delay="1s")
        assert "gives no answer in time" in said(*options, "--timeout", "0.3")


def test_reads_that_are_broken_off_now_and_then_are_repeated(served: Served, reached: tuple[str, ...]) -> None:
    before = served.state()
    served.simulator.faults.add("flaky", method="GET", connection="drop", probability=0.05)
    result = CliRunner().invoke(app, [*reached, "--scenario", "contract/api"])
    assert result.exit_code == 0, result.output
    served.simulator.faults.clear()
    assert served.state() == before


def test_a_node_that_is_gone_in_the_middle_is_told_and_can_be_swept(served: Served, reached: tuple[str, ...]) -> None:
    before = served.state()
    served.simulator.faults.add("gone", method="POST", path="/nodes/*/qemu", connection="drop")
    served.simulator.faults.add("gone-too", method="DELETE", connection="drop")
    text = said(*reached, "--scenario", "contract/snapshots").splitlines()[-1]
    assert "What the run made is still there: sweep the node when it answers again (--sweep)." in text
    served.simulator.faults.clear()
    assert CliRunner().invoke(app, [*reached, "--sweep"]).exit_code == 0
    assert served.state() == before
