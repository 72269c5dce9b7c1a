"""`/nodes` and what a node says of itself."""

from __future__ import annotations

from typing import Any

from pvesim.cluster.rules import the_cluster
from pvesim.core.sections import split_changes
from pvesim.guests.records import Guest
from pvesim.metrics import guest_figures
from pvesim.nodes import batch, catalogue, certificates, hardware, journal, power, rules, services
from pvesim.nodes.records import Node
from pvesim.routing import Answer, Call, route

# -- the node ----------------------------------------------------------------------------------------------------------


@route("GET", "/nodes")
def list_nodes(call: Call) -> list[dict[str, Any]]:
    power.watch_nodes(call)
    nodes = call.world.rows(Node).values()
    return [rules.list_row(call.world, node, call.may(f"/nodes/{node.name}", "Sys.Audit")) for node in nodes]


@route("GET", "/nodes/{node}/status")
def read_status(call: Call) -> dict[str, Any]:
    return rules.status(call.world, call.node)


@route("POST", "/nodes/{node}/status")
def change_power(call: Call) -> None:
    power.command(call.world, call.node, call.params["command"])


@route("GET", "/nodes/{node}/version")
def read_version(call: Call) -> dict[str, str]:
    return rules.version(call.world)


@route("GET", "/nodes/{node}/time")
def read_time(call: Call) -> dict[str, Any]:
    return rules.time_of(call.world, call.node)


@route("PUT", "/nodes/{node}/time")
def set_time(call: Call) -> None:
    rules.set_timezone(call.world, call.node, call.params["timezone"])


@route("GET", "/nodes/{node}/dns")
def read_dns(call: Call) -> dict[str, str]:
    return dict(rules.find_node(call.world, call.node).dns)


@route("PUT", "/nodes/{node}/dns")
def set_dns(call: Call) -> None:
    rules.set_dns(call.world, call.node, call.params)


@route("GET", "/nodes/{node}/hosts")
def read_hosts(call: Call) -> dict[str, str]:
    return rules.hosts(call.world, call.node)


@route("POST", "/nodes/{node}/hosts")
def set_hosts(call: Call) -> None:
    rules.set_hosts(call.world, call.node, call.params["data"], call.params.get("digest"))


@route("GET", "/nodes/{node}/config")
def read_config(call: Call) -> dict[str, Any]:
    return rules.read_config(call.world, call.node, call.params.get("property", "all"))


@route("PUT", "/nodes/{node}/config")
def set_config(call: Call) -> None:
    given, delete, digest = split_changes(call.params, "node")
    rules.change_config(call.world, call.node, given, delete, digest)


@route("POST", "/nodes/{node}/wakeonlan")
def wake(call: Call) -> str:
    return rules.wake(call.world, call.node, call.local_node)


@route("POST", "/nodes/{node}/execute")
def execute(call: Call) -> list[dict[str, Any]]:
    return batch.run_all(call, call.params["commands"])


@route("GET", "/nodes/{node}/netstat")
def read_traffic(call: Call) -> list[dict[str, Any]]:
    rows = []
    for guest in call.world.rows(Guest).values():
        if guest.node == call.node and guest.running:
            cards = sorted(key for key in guest.config if key.startswith("net") and key[3:].isdigit())
            figures = guest_figures(call.world, guest)
            for card in cards:
                received, sent = figures.netin // len(cards), figures.netout // len(cards)
                rows.append({"dev": card, "in": received, "out": sent, "vmid": guest.vmid})
    return rows


# -- services and logs -------------------------------------------------------------------------------------------------


@route("GET", "/nodes/{node}/services")
def list_services(call: Call) -> list[dict[str, Any]]:
    return services.services_of(call.world, call.node)


@route("GET", "/nodes/{node}/services/{service}/state")
def read_service(call: Call) -> dict[str, Any]:
    return services.describe(services.find_service(call.world, call.node, call.params["service"]))


def _command(call: Call, command: services.Command) -> str:
    name = call.params["service"]
    return call.start(f"srv{command}", name, services.command_steps(call.node, name, command))


@route("POST", "/nodes/{node}/services/{service}/start")
def start_service(call: Call) -> str:
    return _command(call, "start")


@route("POST", "/nodes/{node}/services/{service}/stop")
def stop_service(call: Call) -> str:
    return _command(call, "stop")


@route("POST", "/nodes/{node}/services/{service}/restart")
def restart_service(call: Call) -> str:
    return _command(call, "restart")


@route("POST", "/nodes/{node}/services/{service}/reload")
def reload_service(call: Call) -> str:
    return _command(call, "reload")


@route("GET", "/nodes/{node}/syslog")
def read_syslog(call: Call) -> Answer:
    lines, total = journal.syslog(call.world, call.node, call.params)
    return Answer(lines, {"total": total})


@route("GET", "/nodes/{node}/journal")
def read_journal(call: Call) -> list[str]:
    return journal.journal(call.world, call.node, call.params)


# -- what it has and offers --------------------------------------------------------------------------------------------


@route("GET", "/nodes/{node}/certificates/info")
def read_certificates(call: Call) -> list[dict[str, Any]]:
    return certificates.information(call.world, rules.find_node(call.world, call.node))


@route("GET", "/nodes/{node}/aplinfo")
def list_templates(call: Call) -> list[dict[str, Any]]:
    return catalogue.templates()


@route("POST", "/nodes/{node}/aplinfo")
def download_template(call: Call) -> str:
    template = call.params["template"]
    steps = catalogue.download_steps(call.world, call.node, call.params["storage"], template)
    return call.start("download", template, steps)


@route("GET", "/nodes/{node}/capabilities/qemu/cpu")
def list_cpu_models(call: Call) -> list[dict[str, Any]]:
    return catalogue.cpu_models()


@route("GET", "/nodes/{node}/capabilities/qemu/cpu-flags")
def list_cpu_flags(call: Call) -> list[dict[str, str]]:
    return catalogue.cpu_flags()


@route("GET", "/nodes/{node}/capabilities/qemu/machines")
def list_machines(call: Call) -> list[dict[str, str]]:
    return catalogue.machines(the_cluster(call.world).release.qemu)


@route("GET", "/nodes/{node}/capabilities/qemu/migration")
def read_migration_capabilities(call: Call) -> dict[str, int]:
    return {"has-dbus-vmstate": 1}


@route("GET", "/nodes/{node}/hardware/pci")
def list_pci(call: Call) -> list[dict[str, Any]]:
    return hardware.pci_devices(call.params.get("pci-class-blacklist"))


@route("GET", "/nodes/{node}/hardware/usb")
def list_usb(call: Call) -> list[dict[str, Any]]:
    return hardware.usb_devices()
