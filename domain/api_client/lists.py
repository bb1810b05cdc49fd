"""What may stand in an API client's lists of origins and addresses, each entry in the form in which it is compared."""

import re
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from msgspec import structs

from domain.api_client.events import Terms
from domain.shared import FieldError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_PORTS = {"http": "80", "https": "443"}
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])"
    r"(:(?P<port>[1-9][0-9]{0,4}))?"
)


def faults(terms: Terms) -> Iterator[FieldError]:
    """Every entry that is none, with where it stands."""
    yield from _faults("allowed_origins", terms.allowed_origins, "origin", wrong_origin)
    yield from _faults("allowed_ips", terms.allowed_ips, "network", wrong_network)


def _faults(
    name: str, entries: tuple[str, ...], code: str, wrong: Callable[[str], str | None]
) -> Iterator[FieldError]:
    for at, entry in enumerate(entries):
        if (detail := wrong(entry)) is not None:
            yield FieldError(pointer=f"/{name}/{at}", code=code, detail=detail)


def canonical(terms: Terms) -> Terms:
    """The same terms, addresses in their one form. Of terms without faults."""
    return structs.replace(terms, allowed_ips=tuple(str(folded(entry)) for entry in terms.allowed_ips))


def wrong_origin(entry: str) -> str | None:
    """An origin as browsers serialise it (RFC 6454 6.2), since it is compared to the letter."""
    found = _ORIGIN.fullmatch(entry)
    if found is None or int(found["port"] or 1) > 65535:
        return "An origin is http(s)://host[:port] in lower case, without a path; never `*` or `null`."
    if found["port"] == _PORTS[found["scheme"]]:
        return "Browsers leave the port out where it is the scheme's own; so leave it out, too."
    return None


def wrong_network(entry: str) -> str | None:
    try:
        folded(entry)
    except ValueError as problem:
        return f"This is no address, and no network such as 10.0.0.0/8: {problem}."
    return None


def folded(entry: str) -> Address | Network:
    """An address or a network; IPv4 within IPv6 (RFC 4291 2.5.5.2) as IPv4. Raises ValueError."""
    if "/" not in entry:
        address = ip_address(entry)
        return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
    network = ip_network(entry)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return IPv4Network((mapped, network.prefixlen - 96)) if mapped and network.prefixlen >= 96 else network
