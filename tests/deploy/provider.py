"""A provider for Terraform that knows the arguments in schema.yaml and no cloud: what it makes is made up.

With it Terraform itself checks names, types, references and the variables' own rules of deploy/functiongraph, and says
what every argument would be. It speaks the plugin protocol, version 5, in the little of it that this takes.

See https://github.com/hashicorp/terraform/blob/main/docs/plugin-protocol/tfplugin5.proto
"""

import atexit
import json
import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import msgpack
import yaml

NAME = "registry.terraform.io/opentelekomcloud/opentelekomcloud"
SCHEMA = Path(__file__).with_name("schema.yaml")
UNKNOWN = msgpack.ExtType(0, b"\x00")
COLLECTION = re.compile(r"(list|set|map)\((\w+)\)")
NESTING = {"list": 2, "set": 3}
MADE_UP: Mapping[str, Any] = {"number": 0, "bool": False, "set(string)": [], "list(string)": [], "map(string)": {}}
URNS = {"topic_urn": "urn:smn:eu-de:project:{}", "urn": "urn:fss:eu-de:project:function:default:{}:latest"}
Schema = Mapping[str, Any]


def load_schema() -> Schema:
    """Read schema.yaml."""
    schema: Schema = yaml.safe_load(SCHEMA.read_text())
    return schema


def varint(number: int) -> bytes:
    """Write a protobuf integer."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def write(field: int, value: bytes | str | int) -> bytes:
    """Write one protobuf field; integers and flags as varints, everything else with its length."""
    if isinstance(value, int):
        return varint(field << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def read(message: bytes) -> dict[int, bytes]:
    """Read the fields of a protobuf message that have a length."""
    fields, place = {}, 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(message):
        key = number()
        length = number()
        if key & 7 == 2:
            fields[key >> 3] = message[place : place + length]
            place += length
    return fields


def describe_type(word: str) -> str:
    """Write a type as Terraform's JSON has it."""
    found = COLLECTION.fullmatch(word)
    return json.dumps([found[1], found[2]] if found else word)


def describe_attribute(name: str, words: str) -> bytes:
    """Write an Attribute: name, type, and its flags."""
    kind, *flags = words.split()
    numbers = {"required": 4, "optional": 5, "computed": 6, "sensitive": 7}
    return write(1, name) + write(2, describe_type(kind)) + b"".join(write(numbers[flag], 1) for flag in flags)


def describe_block(block: Schema) -> bytes:
    """Write a Block with its attributes and nested blocks."""
    out = b"".join(write(2, describe_attribute(*each)) for each in block.get("attributes", {}).items())
    for name, nested in block.get("blocks", {}).items():
        bounds = write(4, nested.get("min", 0)) + write(5, nested.get("max", 0))
        out += write(
            3, write(1, name) + write(2, describe_block(nested)) + write(3, NESTING[nested["nesting"]]) + bounds
        )
    return out


def describe(block: Schema) -> bytes:
    """Write a Schema."""
    return write(2, describe_block(block))


def plan(block: Schema, value: dict[str, Any]) -> dict[str, Any]:
    """Say what a resource will be: what is computed and not given is not known yet."""
    planned = dict(value)
    for name, words in block.get("attributes", {}).items():
        if "computed" in words.split() and planned.get(name) is None:
            planned[name] = UNKNOWN
    for name, nested in block.get("blocks", {}).items():
        if isinstance(planned.get(name), list):
            planned[name] = [plan(nested, each) for each in planned[name]]
    return planned


def make_up(block: Schema, planned: dict[str, Any]) -> dict[str, Any]:
    """Say what a resource has become: what was not known is made up, URNs in their real form."""
    made = dict(planned)
    for key, words in block.get("attributes", {}).items():
        if made.get(key) == UNKNOWN:
            made[key] = MADE_UP.get(words.split()[0], f"made-up {key}")
        if key in URNS and words.split()[1] == "computed":
            made[key] = URNS[key].format(made["name"])
    for key, nested in block.get("blocks", {}).items():
        made[key] = [make_up(nested, each) for each in made[key]]
    return made


class Provider:
    """The calls that validating, planning and applying take, each from bytes to bytes."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def calls(self) -> dict[str, Callable[[bytes], bytes]]:
        """Name the calls."""
        return {
            "GetSchema": self.get_schema,
            "PrepareProviderConfig": lambda request: write(1, read(request)[1]),
            "ValidateResourceTypeConfig": lambda _: b"",
            "Configure": lambda _: b"",
            "PlanResourceChange": self.plan,
            "ApplyResourceChange": self.apply,
            "Stop": lambda _: b"",
        }

    def get_schema(self, _: bytes) -> bytes:
        """Tell all arguments."""
        resources = self.schema["resources"].items()
        entries = [write(2, write(1, name) + write(2, describe(block))) for name, block in resources]
        return write(1, describe(self.schema["provider"])) + b"".join(entries)

    def plan(self, request: bytes) -> bytes:
        """Plan a resource that is not there yet."""
        fields = read(request)
        proposed = msgpack.unpackb(read(fields[3])[1], strict_map_key=False)
        planned = plan(self.schema["resources"][fields[1].decode()], proposed)
        return write(1, write(1, msgpack.packb(planned)))

    def apply(self, request: bytes) -> bytes:
        """Make a resource up."""
        fields = read(request)
        planned = msgpack.unpackb(read(fields[3])[1], strict_map_key=False)
        return write(1, write(1, msgpack.packb(make_up(self.schema["resources"][fields[1].decode()], planned))))


class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Hands calls to the provider, by the last word of their path."""

    def __init__(self, provider: Provider) -> None:
        self.calls = provider.calls()

    def service(self, details: Any) -> Any:
        """Find what answers a call."""
        word = details.method.rpartition("/")[2]
        if word not in self.calls:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda request, _: self.calls[word](request))


@cache
def reattach() -> str:
    """Serve the provider in this process, once; gives the variable by which Terraform finds one that runs already.

    See https://developer.hashicorp.com/terraform/plugin/debugging
    """
    server = grpc.server(ThreadPoolExecutor(8), handlers=[Handler(Provider(load_schema()))])
    address = {"Network": "tcp", "String": f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"}
    server.start()
    atexit.register(server.stop, None)
    running = {"Protocol": "grpc", "ProtocolVersion": 5, "Pid": os.getpid(), "Test": True, "Addr": address}
    return json.dumps({NAME: running})
