"""The announcer: tells the local network where the device is (multicast DNS, RFC 6762).

Owns the one socket that reads datagrams of anybody. Holds nothing: no key, no file, no name
of a person; says only what the gateway gave it, and only to the link that it is on.
"""
