"""The updater: calls the vendor, and nobody calls it from the network.

Owns the schedule, the TUF client, the transfer into the staging area, the trial of
a new slot, the reports to the vendor and the errands of enrollment. Accepts no
connection, reads no account, holds no key but that of its own client certificate.
"""
