#!/usr/bin/env python3
"""Makes mixed-frames.pcapng and mixed-frames.csv beside it: python3 mixed-frames.py

Frames of every kind that a receive hash tells apart, and for each what it hashes to. Written from RFC 791, 768, 9293, 8200,
6275 and IEEE 802.1Q for the frames, from Microsoft's "RSS Hashing Functions" and "RSS hashing types" for types and inputs,
and from draft-ietf-opsawg-pcapng for the file; not from the drivers or the harness, whose hashes it is to judge. Every
address, port and length comes from the fixed seed; lengths and checksums are right. All frames are unicast, 60 bytes or more,
and end with their number (32 bits, big-endian).

Columns: number of the frame, kind, hash type and value (hexadecimal) with the four types that Xen's netif knows wanted, and
the same with all nine of NDIS wanted. "-" where nothing is hashed.
"""
import pathlib
import random
import struct

SEED = 20261128
EACH = 9
# The key of Microsoft's verification suite.
KEY = bytes.fromhex(
    "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa"
)
STATION = bytes.fromhex("00163e000000")
TCP, UDP, ICMP, ICMP6, GRE = 6, 17, 1, 58, 47
HOP, ROUTING, FRAGMENT, NONE, DESTINATION = 0, 43, 44, 59, 60

rng = random.Random(SEED)


def toeplitz(data):
    key = int.from_bytes(KEY, "big")
    bits = len(KEY) * 8
    value = 0
    for at in range(len(data) * 8):
        if data[at // 8] >> (7 - at % 8) & 1:
            value ^= key >> (bits - 32 - at) & 0xFFFFFFFF
    return value


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def payload(number, low=20, high=900):
    size = rng.randrange(low, high)
    return rng.randbytes(size) + struct.pack("!I", number)


def transport(protocol, pseudo, ports, body):
    """A segment, datagram or message with its checksum. `pseudo` makes the pseudo-header for a length."""
    if protocol == TCP:
        head = ports + struct.pack("!IIBBHHH", rng.getrandbits(32), rng.getrandbits(32), 5 << 4, 0x10, 4096, 0, 0)
        at = 16
    elif protocol == UDP:
        head = ports + struct.pack("!HH", 8 + len(body), 0)
        at = 6
    elif protocol == ICMP:
        head = struct.pack("!BBHHH", 8, 0, 0, 7, 9)
        value = checksum(head + body)
        return head[:2] + struct.pack("!H", value) + head[4:] + body
    elif protocol == ICMP6:
        head = struct.pack("!BBHHH", 128, 0, 0, 7, 9)
        at = 2
    else:
        return struct.pack("!HH", 0, 0x6558) + body
    whole = head + body
    value = checksum(pseudo(len(whole)) + whole) or 0xFFFF
    return whole[:at] + struct.pack("!H", value) + whole[at + 2 :]


class Frame:
    def __init__(self, kind, data, addresses=None, mobile=None, ports=None, tagged=False):
        self.kind, self.data, self.addresses, self.mobile, self.ports = kind, data, addresses, mobile, ports
        self.tagged = tagged

    def hash(self, everything):
        """Type and value."""
        if self.addresses is None:
            return "-", "-"
        version = "v4" if len(self.addresses) == 8 else "v6"
        protocol, ports = self.ports or (None, b"")
        if protocol == UDP and not everything:
            protocol, ports = None, b""
        name = {TCP: "tcp", UDP: "udp"}.get(protocol, "ip") + version
        data = self.addresses
        if everything and self.mobile is not None:
            name, data = name + "-ex", self.mobile
        return name, f"{toeplitz(data + ports):08x}"


def ethernet(kind, packet, tag=None):
    source = bytes([2]) + rng.randbytes(5)
    vlan = b"" if tag is None else struct.pack("!HH", 0x8100, tag)
    return STATION + source + vlan + struct.pack("!H", kind) + packet


def address4():
    return bytes([10, rng.randrange(256), rng.randrange(256), rng.randrange(1, 255)])


def address6():
    return bytes.fromhex("fd00") + rng.randbytes(14)


def any_ports():
    return struct.pack("!HH", rng.randrange(1024, 65536), rng.choice([9, 19, 443, 5001, 65535]))


def frame4(kind, number, protocol, options=b"", fragment=0, tag=None):
    source, target = address4(), address4()
    ports = any_ports()
    if fragment & 0x1FFF:
        # A later fragment: no header of the transport, whatever its bytes look like.
        data = payload(number)
    else:
        pseudo = lambda length: source + target + struct.pack("!BBH", 0, protocol, length)
        data = transport(protocol, pseudo, ports, payload(number))
    if fragment & 0x2000:
        # A multiple of 8 bytes, and the number stays at the end.
        data = data[:-4] + bytes(-len(data) % 8) + data[-4:]
    length = 5 + len(options) // 4
    total = length * 4 + len(data)
    head = struct.pack("!BBHHHBBH", 4 << 4 | length, 0, total, rng.getrandbits(16), fragment, 64, protocol, 0)
    head += source + target + options
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    has_ports = protocol in (TCP, UDP) and fragment & 0x3FFF == 0
    packet = ethernet(0x0800, head + data, tag)
    return Frame(kind, packet, source + target, None, (protocol, ports) if has_ports else None, tag is not None)


def frame6(kind, number, protocol, extensions=(), tag=None):
    """`extensions`: header number and what follows its first two bytes, or a word that says which address is in it."""
    source, target = address6(), address6()
    ports = any_ports()
    home, care = source, target
    chain, fragment = [], False
    for header, body in extensions:
        if body == "home":
            home = address6()
            body = bytes([1, 0, 0xC9, 16]) + home + bytes([1, 0])
        elif body == "type2":
            care = address6()
            body = bytes([2, 1, 0, 0, 0, 0]) + care
        elif body == "type0":
            body = bytes([0, 1, 0, 0, 0, 0]) + address6()
        fragment |= header == FRAGMENT
        chain.append((header, body))
    # The pseudo-header has the final target; none here has segments left but type 0 and 2, whose last address that is.
    final = care
    for header, body in chain:
        if header == ROUTING and body[0] == 0:
            final = body[6:22]
    sender = home
    pseudo = lambda length: sender + final + struct.pack("!IHBB", length, 0, 0, protocol)
    data = payload(number) if protocol == NONE else transport(protocol, pseudo, ports, payload(number))
    if any(header == FRAGMENT and body[1] & 1 for header, body in chain):
        data = data[:-4] + bytes(-len(data) % 8) + data[-4:]
    kinds = [header for header, _ in chain] + [protocol]
    rest = b""
    for (header, body), following in zip(chain, kinds[1:]):
        units = 0 if header == FRAGMENT else (len(body) + 2) // 8 - 1
        assert header == FRAGMENT or (len(body) + 2) % 8 == 0
        rest += bytes([following, units]) + body
    rest += data
    head = struct.pack("!IHBB", 6 << 28 | rng.getrandbits(20), len(rest), kinds[0], 64) + source + target
    has_ports = protocol in (TCP, UDP) and not fragment
    mobile = home + care if (home, care) != (source, target) else None
    packet = ethernet(0x86DD, head + rest, tag)
    return Frame(kind, packet, source + target, mobile, (protocol, ports) if has_ports else None, tag is not None)


def fragment6(offset, more):
    return FRAGMENT, struct.pack("!HI", offset << 3 | more, rng.getrandbits(32))[0:6]


def padding(size):
    """A PadN option that fills `size` bytes."""
    return bytes([1, size - 2]) + bytes(size - 2)


KINDS = {
    "tcp4": lambda n: frame4("tcp4", n, TCP),
    "udp4": lambda n: frame4("udp4", n, UDP),
    "icmp4": lambda n: frame4("icmp4", n, ICMP),
    "gre4": lambda n: frame4("gre4", n, GRE),
    "tcp4-options": lambda n: frame4("tcp4-options", n, TCP, bytes([1, 1, 1, 1, 7, 7, 4, 0, 0, 0, 0, 0])),
    "udp4-most-options": lambda n: frame4("udp4-most-options", n, UDP, bytes([1] * 40)),
    "tcp4-first-fragment": lambda n: frame4("tcp4-first-fragment", n, TCP, fragment=0x2000),
    "udp4-middle-fragment": lambda n: frame4("udp4-middle-fragment", n, UDP, fragment=0x2000 | 185),
    "tcp4-last-fragment": lambda n: frame4("tcp4-last-fragment", n, TCP, fragment=370),
    "tcp4-do-not-fragment": lambda n: frame4("tcp4-do-not-fragment", n, TCP, fragment=0x4000),
    "tcp4-vlan": lambda n: frame4("tcp4-vlan", n, TCP, tag=3 << 13 | 5),
    "udp4-priority": lambda n: frame4("udp4-priority", n, UDP, tag=5 << 13),
    "tcp6": lambda n: frame6("tcp6", n, TCP),
    "udp6": lambda n: frame6("udp6", n, UDP),
    "icmp6": lambda n: frame6("icmp6", n, ICMP6),
    "none6": lambda n: frame6("none6", n, NONE),
    "tcp6-hop-by-hop": lambda n: frame6("tcp6-hop-by-hop", n, TCP, [(HOP, padding(6))]),
    "udp6-two-headers": lambda n: frame6("udp6-two-headers", n, UDP, [(HOP, padding(14)), (DESTINATION, padding(6))]),
    "tcp6-routing-0": lambda n: frame6("tcp6-routing-0", n, TCP, [(ROUTING, "type0")]),
    "tcp6-routing-2": lambda n: frame6("tcp6-routing-2", n, TCP, [(ROUTING, "type2")]),
    "udp6-home": lambda n: frame6("udp6-home", n, UDP, [(DESTINATION, "home")]),
    "icmp6-home": lambda n: frame6("icmp6-home", n, ICMP6, [(DESTINATION, "home")]),
    "tcp6-both": lambda n: frame6("tcp6-both", n, TCP, [(ROUTING, "type2"), (DESTINATION, "home")]),
    "tcp6-first-fragment": lambda n: frame6("tcp6-first-fragment", n, TCP, [fragment6(0, 1)]),
    "udp6-last-fragment": lambda n: frame6("udp6-last-fragment", n, UDP, [fragment6(180, 0)]),
    "tcp6-atomic-fragment": lambda n: frame6("tcp6-atomic-fragment", n, TCP, [fragment6(0, 0)]),
    "tcp6-vlan": lambda n: frame6("tcp6-vlan", n, TCP, tag=1 << 13 | 5),
    "arp": lambda n: Frame("arp", ethernet(0x0806, struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + rng.randbytes(40) + struct.pack("!I", n))),
    "other": lambda n: Frame("other", ethernet(0x88B5, payload(n, 50))),
}


def block(kind, body):
    size = 12 + len(body)
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def padded(data):
    return data + bytes(-len(data) % 4)


def main():
    assert toeplitz(bytes([66, 9, 149, 187, 161, 142, 100, 80, 0x0A, 0xEA, 0x06, 0xE6])) == 0x51CCC178
    frames = []
    makers = [maker for maker in KINDS.values() for _ in range(EACH)]
    rng.shuffle(makers)
    for number, maker in enumerate(makers):
        frame = maker(number)
        assert 60 <= len(frame.data) <= 1518, frame.kind
        frames.append(frame)
    # One section, one Ethernet interface with times in nanoseconds.
    out = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += block(1, struct.pack("<HHI", 1, 0, 0) + struct.pack("<HHB3x", 9, 1, 9) + bytes(4))
    rows = ["frame,kind,netif_type,netif_hash,ndis_type,ndis_hash"]
    for number, frame in enumerate(frames):
        time = number * 1000
        # epb_flags: inbound.
        options = struct.pack("<HHI", 2, 4, 1) + bytes(4)
        head = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(frame.data), len(frame.data))
        out += block(6, head + padded(frame.data) + options)
        rows.append(",".join([str(number), frame.kind, *frame.hash(False), *frame.hash(True)]))
    here = pathlib.Path(__file__).parent
    (here / "mixed-frames.pcapng").write_bytes(out)
    (here / "mixed-frames.csv").write_text("\n".join(rows) + "\n")
    print(f"{len(frames)} frames of {len(KINDS)} kinds, {len(out)} bytes")


main()
