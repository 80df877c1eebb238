"""Writes a denied or private address in every form that IPv6 has for it."""

FORMS = {
    "mapped": "::ffff:198.18.66.66",
    "mapped private": "::ffff:10.77.0.7",
    "compatible": "::198.18.66.66",
    "translated": "::ffff:0:c612:4242",
    "NAT64": "64:ff9b::c612:4242",
    "NAT64 of private": "64:ff9b::a4d:7",
    "NAT64 of a local prefix": "64:ff9b:1::a4d:7",
    "6to4": "2002:c612:4242::1",
    "6to4 of private": "2002:a4d:7::1",
    "Teredo": "2001:0:a4d:7::1",
    "ISATAP": "2001:2::5efe:c612:4242",
    "unique local": "fd77::7",
    "site local": "fec0::7",
    "discard": "100::7",
    "link local, by scope": f"fe80::7%{DEVICE}",
}
for form, address in FORMS.items():
    step(f"tcp to {form}", lambda: tcp(address, 80) if form not in ("compatible", "translated") else udp(address, 9000))
    step(f"udp to {form}", lambda: udp(address, 9000))
