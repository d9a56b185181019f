"""HTTP/1.1 over TLS 1.3, small and bounded: a server on asyncio and h11, a client on h11.

Owns sockets, deadlines, sizes and admission. Knows no route, no account and no
product. Shared by the device's gateway and the vendor's front.
"""
