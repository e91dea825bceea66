#!/usr/bin/env python3
"""A minimal client of the Kubernetes runtime interface, runtime.v1.

    cri.py SOCKET run NAME CGROUP [HOSTPORT:CONTAINERPORT ...]   prints the pod's id
    cri.py SOCKET address POD                                    prints its address
    cri.py SOCKET stop POD
    cri.py SOCKET remove POD

Messages are encoded by hand (numbers below are field numbers of the interface's api.proto), so that
Debian's python3-grpcio is all it needs.
"""

import sys

import grpc

SECONDS = 60


def varint(number):
    out = b""
    while True:
        low, number = number & 127, number >> 7
        if not number:
            return out + bytes([low])
        out += bytes([low | 128])


def field(number, value):
    """One field: an int, or text or bytes (a message is the sum of its fields)."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def parse(message):
    """The fields of a message by number; the last of a number counts."""
    fields, at = {}, 0

    def number():
        nonlocal at
        result = shift = 0
        while True:
            byte = message[at]
            at, result, shift = at + 1, result | (byte & 127) << shift, shift + 7
            if byte < 128:
                return result

    while at < len(message):
        key = number()
        if key & 7 == 0:
            fields[key >> 3] = number()
        elif key & 7 == 2:
            length = number()
            fields[key >> 3] = message[at : at + length]
            at += length
        else:
            at += {1: 8, 5: 4}[key & 7]
    return fields


def sandbox_config(name, cgroup, ports):
    metadata = field(1, name) + field(2, "uid-" + name) + field(3, "default") + field(4, 1)
    config = field(1, metadata) + field(2, name) + field(3, "/run") + field(8, field(1, cgroup))
    for host, container in (port.split(":") for port in ports):
        config += field(5, field(2, int(container)) + field(3, int(host)))
    return config


def main(socket, action, pod, *rest):
    options = [("grpc.default_authority", "localhost")]
    channel = grpc.insecure_channel("unix://" + socket, options=options)

    def call(method, request):
        full = "/runtime.v1.RuntimeService/" + method
        return parse(channel.unary_unary(full)(request, timeout=SECONDS, wait_for_ready=True))

    if action == "run":
        config = sandbox_config(pod, rest[0], rest[1:])
        print(call("RunPodSandbox", field(1, config))[1].decode())
    elif action == "address":
        status = parse(call("PodSandboxStatus", field(1, pod))[1])
        print(parse(status[5]).get(1, b"").decode())
    elif action == "stop":
        call("StopPodSandbox", field(1, pod))
    elif action == "remove":
        call("RemovePodSandbox", field(1, pod))
    else:
        sys.exit(__doc__)


try:
    main(*sys.argv[1:])
except grpc.RpcError as error:
    sys.exit(f"{error.code()}: {error.details()}")
