"""The one place that touches `cryptography`: suites, keys, certificates, TLS, randomness.

Holds policy as named, versioned data and the few operations limpet needs on top
of standard algorithms. Invents no algorithm and no protocol (draft-moore, 2.1.2 and 2.1.3).
"""
