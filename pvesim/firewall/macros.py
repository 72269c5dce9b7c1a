"""The macros of the firewall: a service by name, for the protocols and ports that it uses.

Names as `GET /cluster/firewall/macros` of a genuine node lists them; ports are those assigned to the services.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

# name | protocol/destination ports[/source ports] … | description
_TABLE = """
Amanda | udp/10080 tcp/10080 | Backups with Amanda
Auth | tcp/113 | Ident queries
BGP | tcp/179 | Routes between BGP peers
BitTorrent | tcp/6881:6889 udp/6881 | BitTorrent clients up to 3.1
BitTorrent32 | tcp/6881:6999 udp/6881 | BitTorrent clients from 3.2 on
CVS | tcp/2401 | CVS password server
Ceph | tcp/6789 tcp/3300 tcp/6800:7300 | Ceph monitors, OSDs and metadata servers
Citrix | tcp/1494 udp/1604 tcp/2598 | Citrix ICA sessions and browsing
DAAP | tcp/3689 udp/3689 | Shared music libraries (DAAP)
DCC | tcp/6277 | Distributed spam checksums
DHCPfwd | udp/67:68/67:68 | DHCP that is passed on
DHCPv6 | udp/546:547/546:547 | DHCP for IPv6
DNS | udp/53 tcp/53 | Name lookups
Distcc | tcp/3632 | Distributed compiling
FTP | tcp/21 | FTP control connections
Finger | tcp/79 | Finger lookups
GNUnet | tcp/2086 udp/2086 tcp/1080 udp/1080 | GNUnet peers
GRE | 47 | GRE tunnels
Git | tcp/9418 | The git protocol
HKP | tcp/11371 | OpenPGP key servers
HTTP | tcp/80 | Web, not encrypted
HTTPS | tcp/443 | Web, encrypted
ICPV2 | udp/3130 | Queries between web caches
ICQ | tcp/5190 | ICQ chat
IMAP | tcp/143 | Mailboxes over IMAP
IMAPS | tcp/993 | Mailboxes over encrypted IMAP
IPIP | 94 | IP in IP tunnels
IPsec | udp/500/500 50 | IPsec with ESP
IPsecah | udp/500/500 51 | IPsec with AH
IPsecnat | udp/500 udp/4500 50 | IPsec through address translation
IRC | tcp/6667 | IRC chat
Jetdirect | tcp/9100 | Raw printing
L2TP | udp/1701 | L2TP tunnels
LDAP | tcp/389 | Directory queries
LDAPS | tcp/636 | Directory queries, encrypted
MDNS | udp/5353 | Name lookups by multicast
MSNP | tcp/1863 | Microsoft messenger
MSSQL | tcp/1433 | SQL Server databases
Mail | tcp/25 tcp/465 tcp/587 | Sending mail, in all three ways
Munin | tcp/4949 | Munin monitoring
MySQL | tcp/3306 | MySQL and MariaDB databases
NNTP | tcp/119 | News
NNTPS | tcp/563 | News, encrypted
NTP | udp/123 | Setting clocks
NeighborDiscovery | icmpv6/router-solicitation icmpv6/router-advertisement icmpv6/neighbor-solicitation icmpv6/neighbor-advertisement | Finding neighbours and routers with IPv6
OSPF | 89 | OSPF routing
OpenVPN | udp/1194 | OpenVPN tunnels
PCA | udp/5632 tcp/5631 | pcAnywhere remote control
PMG | tcp/8006 | Mail gateway administration
POP3 | tcp/110 | Fetching mail
POP3S | tcp/995 | Fetching mail, encrypted
PPtP | 47 tcp/1723 | PPTP tunnels
Ping | icmp/echo-request | Echo requests
PostgreSQL | tcp/5432 | PostgreSQL databases
Printer | tcp/515 | LPD printing
RDP | tcp/3389 | Remote desktops
RIP | udp/520 | RIP routing
RNDC | tcp/953 | Controlling a BIND name server
Razor | tcp/2703 | Razor spam checks
Rdate | tcp/37 | Asking for the time
Rsync | tcp/873 | rsync servers
SANE | tcp/6566 | Scanners on the network
SMB | udp/135,445 udp/137:139 udp/1024:65535/137 tcp/135,139,445 | Windows file sharing
SMBswat | tcp/901 | Samba administration
SMTP | tcp/25 | Mail between servers
SMTPS | tcp/465 | Mail, encrypted from the start
SNMP | udp/161:162 tcp/161 | Network management
SPAMD | tcp/783 | SpamAssassin service
SPICEproxy | tcp/3128 | Guest consoles over SPICE
SSH | tcp/22 | Secure shells
SVN | tcp/3690 | Subversion server
SixXS | tcp/3874 udp/3740 41 udp/5072,8374 | SixXS tunnels
Squid | tcp/3128 | Squid web proxy
Submission | tcp/587 | Mail from clients
Syslog | udp/514 tcp/514 | System logs to a collector
TFTP | udp/69 | Trivial file transfer
Telnet | tcp/23 | Telnet sessions
Telnets | tcp/992 | Telnet sessions, encrypted
Time | tcp/37 | Time of day service
Trcrt | udp/33434:33524 icmp/echo-request | Tracing routes, up to 30 hops
VNC | tcp/5900:5999 | Screens over VNC, displays 0 to 99
VNCL | tcp/5500 | Viewers that listen for VNC servers
Web | tcp/80 tcp/443 | Web, encrypted or not
Webcache | tcp/8080 | Web caches on port 8080
Webmin | tcp/10000 | Webmin administration
Whois | tcp/43 | Whois queries
"""  # noqa: E501


class Traffic(NamedTuple):
    """What one rule of a macro matches: texts, None for anything."""

    proto: str
    dport: str | None = None
    sport: str | None = None


class Macro(NamedTuple):
    """A macro with its description and the traffic that it stands for."""

    name: str
    description: str
    traffic: tuple[Traffic, ...]


@cache
def macros() -> dict[str, Macro]:
    """All macros by their names in lower case."""
    table: dict[str, Macro] = {}
    for line in _TABLE.strip().splitlines():
        name, traffic, description = line.split(" | ")
        table[name.lower()] = Macro(name, description, tuple(Traffic(*item.split("/")) for item in traffic.split()))
    return table


def find_macro(name: str) -> Macro | None:
    """The macro of a name, however it is written."""
    return macros().get(name.lower())
