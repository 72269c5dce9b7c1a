"""By whose leave a call is made: a person's at the client or the command line, or, where that is set, the model's."""

import hmac
import json
import logging
import secrets
import time
from pathlib import Path

from mcp.types import InputRequiredResult

from proxmox_mcp.errors import NotApproved
from proxmox_mcp.results import Preview
from proxmox_mcp.safety.approval import Act, Approvals
from proxmox_mcp.safety.asking import Asking
from proxmox_mcp.safety.case import WHOLE, Case, call_line, clean, client_of, fits_a_form, readable, shown
from proxmox_mcp.safety.foreign import NOTE
from proxmox_mcp.safety.policy import Verdict
from proxmox_mcp.safety.preview import digest_of
from proxmox_mcp.settings import Settings

logger = logging.getLogger(__name__)

_LONGEST = 1 << 16  # characters of a call that is put before a person
_MOST_DECLINED = 3  # of one thing
_MOST_DECLINED_IN_ALL = 12


class Leave:
    """Gets the leave to make a call, in the way that the operator chose.

    Args:
        settings: the server's.
        folder: where requests for approval are kept.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        seconds = settings.approval_minutes * 60
        self._settings = settings
        self._approvals = Approvals(folder, seconds)
        self._asking = Asking(seconds)
        self._declined: dict[str, list[float]] = {}
        self._closed: dict[str, list[float]] = {}
        # A confirmation that a model gives is of this process: nothing that was seen elsewhere serves.
        self._key = secrets.token_bytes(32)

    async def approve(self, case: Case, preview: Preview, verdict: Verdict) -> str | InputRequiredResult:
        """By whom the call is approved; or the question to its person.

        Raises:
            NotApproved: by nobody, and what to do about it.
        """
        how = self._settings.approval
        digest = case.digest
        if how == "model":
            return self._confirmed(case, preview, digest)
        fits = fits_a_form(case.given)
        if how in ("ask", "client") and case.context is not None and fits and self._may_ask(case):
            question = _question(case, preview, verdict)
            answer = await self._asking.ask(case.context, question, digest_of(digest, preview.fingerprint))
            if isinstance(answer, InputRequiredResult):
                return answer
            if answer == "yes":
                return "a person at the client"
            if answer == "none":
                self._closed.setdefault(case.scope, []).append(time.monotonic())
            if answer == "no":
                self._declined.setdefault(case.scope, []).append(time.monotonic())
                raise NotApproved(
                    f"The person who was asked declined: {case.declaration.name} was not done.",
                    "Do not ask again for the same; find out from the user what is wanted instead.",
                )
        if how == "client" and not fits:
            raise NotApproved(
                f"{case.declaration.name} needs a person's approval, and its arguments are too long for a form; "
                "nothing was done.",
                "Give them in smaller parts; or the operator can set PROXMOX_APPROVAL=ask, and read all of it at a "
                "terminal.",
            )
        if how == "client":
            raise NotApproved(
                f"{case.declaration.name} needs a person's approval, and this client cannot ask for it; nothing was "
                "done.",
                "The operator can set PROXMOX_APPROVAL=ask, and then answer with proxmox-mcp approve.",
            )
        return self._by_command(case, preview, digest)

    def _may_ask(self, case: Case) -> bool:
        """Whether the client can ask its person, who is not to be worn down by the same in ever new forms.

        Raises:
            NotApproved: it was declined too often.
        """
        if case.context is None or not Asking.can(case.context):
            return False
        lately, all_lately = self._lately(self._declined, case.scope)
        if lately >= _MOST_DECLINED or all_lately >= _MOST_DECLINED_IN_ALL:
            raise NotApproved(
                f"A person has declined {max(lately, all_lately)} times: {case.declaration.name} was not done, and "
                "nobody was asked.",
                "Find out from the user what is wanted instead.",
            )
        return self._lately(self._closed, case.scope)[0] < _MOST_DECLINED

    def _lately(self, moments: dict[str, list[float]], scope: str) -> tuple[int, int]:
        """How often something came of questions about a thing, and of all questions, while approvals still count."""
        since = time.monotonic() - self._settings.approval_minutes * 60
        for known, before in list(moments.items()):
            moments[known] = [moment for moment in before if moment >= since]
            if not moments[known]:
                del moments[known]
        return len(moments.get(scope, ())), sum(map(len, moments.values()))

    def _confirmed(self, case: Case, preview: Preview, digest: str) -> str:
        message = digest_of(digest, preview.fingerprint).encode()
        token = hmac.new(self._key, message, "sha256").hexdigest()[:16]
        given = str(case.given.get("confirm") or "")
        if hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode()):
            return "the model itself, as the operator chose"
        raise NotApproved(
            f"{case.declaration.name} needs to be confirmed; nothing was done.",
            f"If the user wants exactly this, call again with the same arguments and confirm={token}.\n"
            f"{_for_a_model(preview)}",
        )

    def _by_command(self, case: Case, preview: Preview, digest: str) -> str:
        act = _act(case, preview, digest)
        try:
            state, request = self._approvals.take(act)
        except OSError as error:
            raise NotApproved(
                f"{case.declaration.name} needs a person's approval, and nobody can be asked: this client shows no "
                f"forms, and the requests for approval cannot be kept ({error.strerror or error}).",
                "The operator can set PROXMOX_STATE_DIR to a folder of the server's own.",
            ) from None
        if state == "approved":
            return f"a person at the command line (request {request.code})"
        if state == "denied":
            raise NotApproved(
                f"A person has denied this: {case.declaration.name} was not done.",
                "Do not ask again for the same; find out from the user what is wanted instead.",
            )
        logger.warning(
            "Approval %s is asked for by %s: %s %s. proxmox-mcp approve %s, or deny %s",
            request.code, act.client, act.preview.summary, act.preview.target, request.code, request.code,
        )  # fmt: skip
        before = (
            "It was approved, but the guest has changed since; a new approval is needed. " if state == "changed" else ""
        )
        raise NotApproved(
            f"{before}{case.declaration.name} needs a person's approval, which is now asked for; nothing was done.",
            "Tell the user: on the server's machine, proxmox-mcp approvals lists what is asked for, and proxmox-mcp "
            f"approve answers it, within {self._settings.approval_minutes:g} minutes. Then call again with the same "
            f"arguments.\n{_for_a_model(preview)}",
        )


def _act(case: Case, preview: Preview, digest: str) -> Act:
    """What is put before a person at the command line, who must be able to read all of it."""
    whole = readable(case.given, WHOLE)
    if (size := len(json.dumps(whole, default=str))) > _LONGEST:
        raise NotApproved(
            f"{case.declaration.name} needs a person's approval, and nobody reads {size} characters of arguments; "
            "nothing was done.",
            "Give them in smaller parts.",
        )
    return Act(
        digest,
        case.scope,
        case.declaration.name,
        whole,
        f"{case.call.pve.cluster} as {case.user}",
        client_of(case.context),
        Preview(
            summary=clean(preview.summary),
            target=clean(preview.target),
            facts=[clean(fact) for fact in (*preview.facts, *preview.passing)],
            fingerprint=preview.fingerprint,
        ),
    )


def _for_a_model(preview: Preview) -> str:
    """A preview as it stands in a refusal: names, notes and snapshots in it are other people's words."""
    return f"What it is about ({NOTE}):\n{shown(preview)}"


def _question(case: Case, preview: Preview, verdict: Verdict) -> str:
    because = f"\nThe policy asks for it: {clean(verdict.reason)}" if verdict.effect == "ask" else ""
    return (
        f"{shown(preview)}{because}\nThe call: {call_line(case.declaration.name, case.given)}"
        f"\nAsked for by: {client_of(case.context)}, on {case.call.pve.cluster} as {case.user}"
    )
