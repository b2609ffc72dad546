"""Run a command where there is no network: ``make test-offline``.

The command runs in a network namespace of its own, which Linux makes with
no interface but the loopback, and that one down. It is brought up, because
the kernels of notebooks and the browser's tests talk over it; and nothing
is run before it is proved that there is no way out.
"""

import errno
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys

USAGE = "Usage: python tools/offline.py COMMAND [ARGUMENT ...]"
# As root of a user namespace, which takes no right of the real root.
NAMESPACE = "unshare", "--map-root-user", "--net"
INSIDE = "--inside"

# From <linux/sockios.h> and <linux/if.h>.
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1

# Addresses that are set aside for documentation: nothing is sent to them.
OUTSIDE = (
    (socket.AF_INET, "192.0.2.1"),
    (socket.AF_INET6, "2001:db8::1"),
)
NO_WAY = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


class NotIsolated(Exception):
    """The command would run where there is a network, so it does not."""


def bring_up(interface: str) -> None:
    """Do what ``ip link set up`` does, which not every system has."""
    name = interface.encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", name, 0)
        answer = fcntl.ioctl(control, SIOCGIFFLAGS, request)
        _, flags = struct.unpack("16sh14x", answer)
        request = struct.pack("16sh14x", name, flags | IFF_UP)
        fcntl.ioctl(control, SIOCSIFFLAGS, request)


def ways_out() -> list[str]:
    """Return interfaces beside the loopback, and addresses in reach."""
    found = [name for _, name in socket.if_nameindex() if name != "lo"]
    for family, address in OUTSIDE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, 9))  # looks up the route only
        except OSError as error:
            if error.errno not in NO_WAY:
                raise
        else:
            found.append(f"a route to {address}")
    return found


def run_inside(command: list[str]) -> None:
    """Become the command, once it is proved that there is no way out."""
    if found := ways_out():
        raise NotIsolated(f"there is still {', '.join(found)}")
    bring_up("lo")
    print(
        "No interface but lo, and no route to any other host:", flush=True
    )
    print(*command, flush=True)
    os.execvp(command[0], command)


def run(command: list[str]) -> None:
    """Become this script, in a namespace, or say why that cannot be."""
    if not shutil.which(NAMESPACE[0]):
        raise NotIsolated(
            "there is no unshare; it comes with util-linux, on Linux only"
        )
    trial = subprocess.run(
        [*NAMESPACE, "true"], capture_output=True, text=True
    )
    if trial.returncode:
        raise NotIsolated(
            f"{trial.stderr.strip()}. This system does not let you make a "
            "network namespace. On Ubuntu, as an administrator: "
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0; in a "
            "container, allow it the system call unshare"
        )
    again = [*NAMESPACE, sys.executable, __file__, INSIDE, *command]
    os.execvp(again[0], again)


def main(arguments: list[str]) -> int:
    inside = arguments[:1] == [INSIDE]
    command = arguments[inside:]
    if not command:
        print(USAGE, file=sys.stderr)
        return 2
    try:
        (run_inside if inside else run)(command)
    except NotIsolated as reason:
        print(f"Nothing was run: {reason}.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
