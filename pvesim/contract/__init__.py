"""What may be asked of a PVE API, by its published schema: methods, parameters, permissions, shapes of answers.

The contract knows no world and no HTTP. `Contract.load().find(verb, parts)` tells which method a path means,
`verify(method, given)` types its parameters or raises ParameterErrors with PVE's texts, `evaluate(method, params,
subject)` says whether a user may call it, and `fits(method.returns, value)` whether an answer has the promised shape.
"""

from __future__ import annotations

from pvesim.contract.answers import fits
from pvesim.contract.formats import FormatError, split_list
from pvesim.contract.methods import Contract, Method
from pvesim.contract.permissions import Subject, evaluate
from pvesim.contract.schema import Schema
from pvesim.contract.verify import format_property_string, parse_property_string, verify

__all__ = [
    "Contract",
    "FormatError",
    "Method",
    "Schema",
    "Subject",
    "evaluate",
    "fits",
    "format_property_string",
    "parse_property_string",
    "split_list",
    "verify",
]
