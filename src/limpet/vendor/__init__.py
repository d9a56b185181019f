"""The vendor's services: identity, repository, rollout, fleet, public pages.

Owns what runs beside the devices and never inside one. Its online part holds
the keys that schedule; the keys that say what firmware exists stay offline
(`limpet.vendor.home` draws that line as directories).
"""
