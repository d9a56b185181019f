"""The keeper: makes and uses the device's permanent key. No network.

Owns the IDevID (IEEE 802.1AR) and everything that is signed with it. It endorses
nothing but requests for this very device, and exports no key.
"""
