"""Asking for backups. Source: `POST /nodes/{node}/vzdump`, recorded exchanges `backup/001-009`."""

from __future__ import annotations

from pvesim.backup.options import check_may_back_up, storage_of, verified
from pvesim.backup.run import launch, running_on
from pvesim.backup.selection import chosen_guests, split_by_node
from pvesim.core.errors import ParameterErrors
from pvesim.core.sections import as_stored
from pvesim.core.tasks import abort_task
from pvesim.routing import Call

NOTHING_TO_DO = "OK"


def back_up(call: Call) -> str:
    """Start a backup on the answering node; the UPID, or `OK` where none of the chosen guests is on it.

    Raises in PVE's order: privileges on options, options that exclude each other, the target storage, the pool.
    """
    if call.params.get("stdout"):
        raise ParameterErrors({"stdout": "option is only allowed on the command line interface."})
    given = as_stored(call.params)
    check_may_back_up(call, given)
    options = verified(given)
    storage = storage_of(options)
    if storage is not None:
        call.check(f"/storage/{storage}", "Datastore.AllocateSpace")
    here, elsewhere = split_by_node(call.world, chosen_guests(call.world, options), call.node)
    if options.get("stop"):
        for run in running_on(call.world, call.node):
            abort_task(call.world, run.upid)
        if not here:
            return NOTHING_TO_DO
    if not here and not options.get("all"):
        return NOTHING_TO_DO
    return launch(call.world, call.node, call.identity.name, options, here, elsewhere)
