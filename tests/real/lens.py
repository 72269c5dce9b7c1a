"""The API of a real node as a scenario's cluster: its names in the scenario's words, and nothing that is not the run's.

The requests and answers are the node's own. What stands in them is renamed, and entries of lists are left out that
speak of what was there before: guests outside the range, storages and users that the run did not make, older tasks.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from proxmoxer import ResourceException

from tests.real.names import ROOT, Names

Request = Callable[[str, str, dict[str, Any]], Any]
"""Makes a request: the verb in small letters, the path, the parameters."""


class Lens:
    """Is called as a `proxmoxer.ProxmoxAPI` is: `lens("nodes/pve1/qemu").get()`."""

    def __init__(self, request: Request, names: Names, mine: Callable[[Mapping[str, Any]], bool]) -> None:
        self._request, self._names, self._mine = request, names, mine

    def __call__(self, path: str) -> "_Seen":
        return _Seen(partial(self._send, self._names.path(path)), self._names, self._mine)

    def _send(self, path: str, verb: str, params: dict[str, Any]) -> Any:
        return self._request(verb, path, params)


class _Seen:
    """One path of the API."""

    def __init__(
        self, send: Callable[[str, dict[str, Any]], Any], names: Names, mine: Callable[[Mapping[str, Any]], bool]
    ) -> None:
        self._send, self._names, self._mine = send, names, mine

    def get(self, **params: Any) -> Any:
        return self._request("get", params)

    def post(self, **params: Any) -> Any:
        return self._request("post", params)

    def put(self, **params: Any) -> Any:
        return self._request("put", params)

    def delete(self, **params: Any) -> Any:
        return self._request("delete", params)

    def _request(self, verb: str, params: Mapping[str, Any]) -> Any:
        try:
            data = self._send(verb, self._names.params(params))
        except ResourceException as error:
            raise self._renamed(error) from None
        if isinstance(data, list):
            data = [entry for entry in data if not isinstance(entry, Mapping) or self._mine(entry)]
        return self._names.back(data)

    def _renamed(self, error: ResourceException) -> ResourceException:
        say = self._names.text_back
        errors = {name: say(str(text)) for name, text in error.errors.items()} if error.errors else None
        return ResourceException(error.status_code, error.status_message, say(str(error.content)), errors)


class Mine:
    """Whether an entry of a list belongs to the run."""

    def __init__(self, names: Names, first: int, last: int) -> None:
        self._names, self._range = names, range(first, last + 1)
        self.older: frozenset[str] = frozenset()
        self.began = 0

    def __call__(self, entry: Mapping[str, Any]) -> bool:
        return all(
            check(entry)
            for check in (
                self._node,
                self._guest,
                self._storage,
                self._user,
                self._group,
                self._task,
                self._log,
                self._pool,
            )
        )

    def _node(self, entry: Mapping[str, Any]) -> bool:
        return entry.get("node") in (None, self._names.node[1])

    def _guest(self, entry: Mapping[str, Any]) -> bool:
        vmid = str(entry.get("vmid", ""))
        return not vmid.isdecimal() or int(vmid) in self._range

    def _storage(self, entry: Mapping[str, Any]) -> bool:
        storage = entry.get("storage")
        return not isinstance(storage, str) or storage in self._names.storages.values()

    def _user(self, entry: Mapping[str, Any]) -> bool:
        userid = entry.get("userid")
        return userid is None or userid in (ROOT, *self._names.users.values())

    def _group(self, entry: Mapping[str, Any]) -> bool:
        groupid = entry.get("groupid")
        return groupid is None or groupid in self._names.groups.values()

    def _task(self, entry: Mapping[str, Any]) -> bool:
        return entry.get("upid") is None or (entry["upid"] not in self.older and entry["starttime"] >= self.began)

    def _log(self, entry: Mapping[str, Any]) -> bool:
        return "msg" not in entry or "time" not in entry or int(entry["time"]) >= self.began

    def _pool(self, entry: Mapping[str, Any]) -> bool:
        pool = entry.get("poolid") or (entry.get("pool") if entry.get("type") == "pool" else None)
        return pool is None or pool in self._names.pools.values()
